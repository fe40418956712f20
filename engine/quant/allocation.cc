#include "engine/quant/allocation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

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

// The least distortion that layers could have together at a cost, were their options divisible: along their hulls.
class Relaxation {
 public:
  // Requires options.
  void Add(const LayerOptions& layer) {
    const std::vector<size_t> hull = LowerHull(layer);
    cost_ += layer[hull.front()].cost;
    distortion_ += layer[hull.front()].distortion;
    for (size_t i = 0; i + 1 < hull.size(); ++i) {
      const PrecisionOption& now = layer[hull[i]];
      const PrecisionOption& next = layer[hull[i + 1]];
      steps_.push_back({next.cost - now.cost, now.distortion - next.distortion});
    }
    std::sort(steps_.begin(), steps_.end(),
              [](const Step& a, const Step& b) { return a.gain * b.cost > b.gain * a.cost; });
    points_.assign(1, {cost_, distortion_});
    for (const Step& step : steps_) {
      points_.push_back({points_.back().cost + step.cost, points_.back().distortion - step.gain});
    }
  }

  [[nodiscard]] double LeastCost() const { return cost_; }

  // Requires cost >= LeastCost().
  [[nodiscard]] double At(double cost) const {
    if (points_.empty()) return 0;
    const auto next = std::upper_bound(points_.begin(), points_.end(), cost,
                                       [](double value, const PrecisionOption& point) { return value < point.cost; });
    if (next == points_.begin()) return points_.front().distortion;
    const PrecisionOption& last = *(next - 1);
    if (next == points_.end()) return last.distortion;
    const double share = (cost - last.cost) / (next->cost - last.cost);
    return last.distortion + share * (next->distortion - last.distortion);
  }

 private:
  struct Step {
    double cost;
    double gain;
  };
  double cost_ = 0;
  double distortion_ = 0;
  std::vector<Step> steps_;              // the steepest first
  std::vector<PrecisionOption> points_;  // at the ends of steps
};

// A choice for the first layers.
struct Partial {
  double cost = 0;
  double distortion = 0;
  size_t before = 0;  // index into the choices one layer shorter
  size_t option = 0;
};

// Of `choices` those that no other beats in both respects, rising in cost.
void DropDominated(std::vector<Partial>& choices) {
  std::sort(choices.begin(), choices.end(), [](const Partial& a, const Partial& b) {
    return std::pair(a.cost, a.distortion) < std::pair(b.cost, b.distortion);
  });
  size_t kept = 0;
  for (const Partial& choice : choices) {
    if (kept == 0 || choice.distortion < choices[kept - 1].distortion) choices[kept++] = choice;
  }
  choices.resize(kept);
}

// A choice within the budget, changed in single layers as long as that lowers the distortion, the best per cost first.
Allocation Filled(std::span<const LayerOptions> layers, double budget, Allocation allocation) {
  for (;;) {
    double best_gain = 0;
    std::vector<size_t> best;
    for (size_t i = 0; i < layers.size(); ++i) {
      const PrecisionOption& now = layers[i][allocation.choice[i]];
      for (size_t option = 0; option < layers[i].size(); ++option) {
        const PrecisionOption& next = layers[i][option];
        const double more = next.cost - now.cost;
        if (!(next.distortion < now.distortion) || more > budget - allocation.cost) continue;
        const double gain = (now.distortion - next.distortion) / std::max(more, std::numeric_limits<double>::min());
        if (gain <= best_gain) continue;
        best_gain = gain;
        best = allocation.choice;
        best[i] = option;
      }
    }
    if (best.empty()) return allocation;
    allocation = Summed(layers, std::move(best));
  }
}

// The best of all choices, given one that keeps the budget.
Allocation Improved(std::span<const LayerOptions> layers, double budget, Allocation known) {
  std::vector<Relaxation> rest(layers.size() + 1);  // of the layers from the i-th on
  for (size_t i = layers.size(); i-- > 0;) {
    rest[i] = rest[i + 1];
    rest[i].Add(layers[i]);
  }
  std::vector<std::vector<Partial>> open = {{Partial{}}};
  for (size_t i = 0; i < layers.size(); ++i) {
    std::vector<Partial>& next = open.emplace_back();
    const std::vector<Partial>& now = open[i];
    const Relaxation& behind = rest[i + 1];
    const auto bound = [&](const Partial& choice) { return choice.distortion + behind.At(budget - choice.cost); };
    for (size_t before = 0; before < now.size(); ++before) {
      for (size_t option = 0; option < layers[i].size(); ++option) {
        const Partial choice = {now[before].cost + layers[i][option].cost,
                                now[before].distortion + layers[i][option].distortion, before, option};
        if (!Within(choice.cost + behind.LeastCost(), budget)) continue;
        if (bound(choice) < known.distortion) next.push_back(choice);
      }
    }
    DropDominated(next);
    if (next.size() <= kOpenChoices) continue;
    std::nth_element(next.begin(), next.begin() + kOpenChoices, next.end(),
                     [&](const Partial& a, const Partial& b) { return bound(a) < bound(b); });
    next.resize(kOpenChoices);
  }
  if (open.back().empty()) return known;
  std::vector<size_t> choice(layers.size());
  const auto best = std::ranges::min_element(open.back(), {}, &Partial::distortion);
  auto at = static_cast<size_t>(best - open.back().begin());
  for (size_t i = layers.size(); i-- > 0;) {
    choice[i] = open[i + 1][at].option;
    at = open[i + 1][at].before;
  }
  Allocation found = Summed(layers, std::move(choice));
  return found.distortion < known.distortion ? found : known;
}

std::vector<LayerOptions> Swapped(std::span<const LayerOptions> layers) {
  std::vector<LayerOptions> swapped(layers.begin(), layers.end());
  for (LayerOptions& layer : swapped) {
    for (PrecisionOption& option : layer) std::swap(option.cost, option.distortion);
  }
  return swapped;
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

absl::StatusOr<Allocation> AllocateUnderCost(std::span<const LayerOptions> layers, double budget, double worthwhile) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Allocation> curve, AllocationCurve(layers));
  if (!Within(curve.front().cost, budget)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the cheapest precision costs ", curve.front().cost, ", more than the budget of ", budget));
  }
  const auto over =
      std::find_if(curve.begin(), curve.end(), [&](const Allocation& point) { return !Within(point.cost, budget); });
  const Allocation filled = Filled(layers, budget, *(over - 1));
  Allocation best = Improved(layers, budget, filled);
  return best.distortion < (1 - worthwhile) * filled.distortion ? best : filled;
}

absl::StatusOr<Allocation> AllocateUnderDistortion(std::span<const LayerOptions> layers, double budget,
                                                   double worthwhile) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Allocation> curve, AllocationCurve(layers));
  if (!Within(curve.back().distortion, budget)) {
    return absl::FailedPreconditionError(absl::StrCat("the finest precision distorts by ", curve.back().distortion,
                                                      ", more than the budget of ", budget));
  }
  BITSTAGE_ASSIGN_OR_RETURN(Allocation best, AllocateUnderCost(Swapped(layers), budget, worthwhile));
  std::swap(best.cost, best.distortion);
  return best;
}

}  // namespace bitstage
