#include "engine/quant/allocation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

// Budgets are sums of many terms: what differs by rounding alone is within.
bool Within(double value, double budget) { return value <= budget + 1e-12 * std::abs(budget); }

Allocation Summed(std::span<const LayerOptions> layers, std::vector<size_t> choice) {
  Allocation allocation;
  for (size_t i = 0; i < layers.size(); ++i) {
    allocation.cost += layers[i][choice[i]].cost;
    allocation.distortion += layers[i][choice[i]].distortion;
  }
  allocation.choice = std::move(choice);
  return allocation;
}

// The best single change of one layer that `score` finds (higher is better, 0 or less: none).
template <typename Score>
std::optional<std::vector<size_t>> BestChange(std::span<const LayerOptions> layers, const std::vector<size_t>& choice,
                                              Score score) {
  double best = 0;
  std::optional<std::vector<size_t>> changed;
  for (size_t i = 0; i < layers.size(); ++i) {
    for (size_t option = 0; option < layers[i].size(); ++option) {
      const double value = score(layers[i][choice[i]], layers[i][option]);
      if (value <= best) continue;
      best = value;
      changed = choice;
      (*changed)[i] = option;
    }
  }
  return changed;
}

}  // namespace

std::vector<size_t> LowerHull(const LayerOptions& options) {
  std::vector<size_t> order(options.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(options[a].cost, options[a].distortion) < std::pair(options[b].cost, options[b].distortion);
  });
  std::vector<size_t> hull;
  for (const size_t next : order) {
    if (!hull.empty() && options[next].distortion >= options[hull.back()].distortion) continue;
    while (hull.size() >= 2) {
      const PrecisionOption& a = options[hull[hull.size() - 2]];
      const PrecisionOption& b = options[hull.back()];
      const PrecisionOption& c = options[next];
      // b lies on or above the line from a to c: it is never the best choice.
      if ((b.distortion - a.distortion) * (c.cost - a.cost) < (c.distortion - a.distortion) * (b.cost - a.cost)) break;
      hull.pop_back();
    }
    hull.push_back(next);
  }
  return hull;
}

absl::StatusOr<std::vector<Allocation>> AllocationCurve(std::span<const LayerOptions> layers) {
  std::vector<std::vector<size_t>> hulls;
  std::vector<size_t> choice;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].empty()) return absl::InvalidArgumentError(absl::StrCat("layer ", i, " has no precision to choose"));
    for (const PrecisionOption& option : layers[i]) {
      if (!std::isfinite(option.cost) || !std::isfinite(option.distortion)) {
        return absl::InvalidArgumentError(absl::StrCat("layer ", i, " has an option that is not finite"));
      }
    }
    hulls.push_back(LowerHull(layers[i]));
    choice.push_back(hulls.back().front());
  }
  std::vector<Allocation> curve = {Summed(layers, choice)};
  std::vector<size_t> at(layers.size(), 0);
  for (;;) {
    double best_gain = 0;
    std::optional<size_t> best_layer;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (at[i] + 1 == hulls[i].size()) continue;
      const PrecisionOption& now = layers[i][hulls[i][at[i]]];
      const PrecisionOption& next = layers[i][hulls[i][at[i] + 1]];
      const double gain = (now.distortion - next.distortion) / (next.cost - now.cost);
      if (gain > best_gain) {
        best_gain = gain;
        best_layer = i;
      }
    }
    if (!best_layer) return curve;
    choice[*best_layer] = hulls[*best_layer][++at[*best_layer]];
    curve.push_back(Summed(layers, choice));
  }
}

absl::StatusOr<Allocation> AllocateUnderCost(std::span<const LayerOptions> layers, double budget) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Allocation> curve, AllocationCurve(layers));
  if (!Within(curve.front().cost, budget)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the cheapest precision costs ", curve.front().cost, ", more than the budget of ", budget));
  }
  Allocation best = curve.front();
  for (const Allocation& point : curve) {
    if (Within(point.cost, budget)) best = point;
  }
  for (;;) {
    const double left = budget - best.cost;
    const auto changed = BestChange(layers, best.choice, [&](const PrecisionOption& now, const PrecisionOption& next) {
      const double more = next.cost - now.cost;
      if (!(next.distortion < now.distortion) || more > left) return 0.0;
      return (now.distortion - next.distortion) / std::max(more, std::numeric_limits<double>::min());
    });
    if (!changed) return best;
    best = Summed(layers, *changed);
  }
}

absl::StatusOr<Allocation> AllocateUnderDistortion(std::span<const LayerOptions> layers, double budget) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Allocation> curve, AllocationCurve(layers));
  const auto within = std::find_if(curve.begin(), curve.end(),
                                   [&](const Allocation& point) { return Within(point.distortion, budget); });
  if (within == curve.end()) {
    return absl::FailedPreconditionError(absl::StrCat("the finest precision distorts by ", curve.back().distortion,
                                                      ", more than the budget of ", budget));
  }
  Allocation best = *within;
  for (;;) {
    const double left = budget - best.distortion;
    const auto changed = BestChange(layers, best.choice, [&](const PrecisionOption& now, const PrecisionOption& next) {
      const double more = next.distortion - now.distortion;
      if (!(next.cost < now.cost) || more > left) return 0.0;
      return (now.cost - next.cost) / std::max(more, std::numeric_limits<double>::min());
    });
    if (!changed) return best;
    best = Summed(layers, *changed);
  }
}

}  // namespace bitstage
