#include "engine/compression/precision.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/compression/sensitivity.h"
#include "engine/quant/allocation.h"
#include "engine/quant/rate_rounding.h"

namespace bitstage {
namespace {

// The rates that are measured, and those that are offered.
constexpr std::array<double, 3> kMeasured = {1.5, 3, 5};
constexpr double kLowestRate = 1;
constexpr double kHighestRate = 8;
constexpr double kRateStep = 0.25;
constexpr double kBitsOfScale = 32;

// The default budget: as few bits as keep the noise below kQuietNoise of the margin; where that would take more than
// kDefaultBits a weight, as few more as keep it below kLoudNoise, but not more than kMostBits.
constexpr double kQuietNoise = 0.05;
constexpr double kDefaultBits = 3.7;
constexpr double kLoudNoise = 0.15;
constexpr double kMostBits = 5.1;

// Images that sensitivities are measured on: their mean settles long before ranges and second moments do.
constexpr int64_t kSensitivityImages = 32;

// What rates between and beyond the measured ones do.
struct RateEffect {
  double rate = 0;
  double bits = 0;  // a weight, without scales
  double noise = 0;
};

// Straight lines through the measured rates: bits by rate, and the logarithm of the noise. Its slope is held to half to
// one and a half of the ideal ln 4, so that a noisy measurement cannot make bits look useless; above the measured rates
// it is the ideal.
std::vector<RateEffect> EffectsOfRates(std::span<const CodingEffect> measured, double margin) {
  constexpr double kTiny = 1e-12;
  const double ideal = std::log(4.0);
  const auto log_noise = [&](size_t i) { return std::log(std::max(measured[i].noise / margin, kTiny)); };
  const auto slope = [&](size_t i) {
    return std::clamp((log_noise(i) - log_noise(i + 1)) / (kMeasured[i + 1] - kMeasured[i]), ideal / 2, ideal * 1.5);
  };
  std::vector<RateEffect> effects;
  for (double rate = kLowestRate; rate <= kHighestRate; rate += kRateStep) {
    const size_t line = rate < kMeasured[1] ? 0 : 1;
    const double bits_a_rate =
        (measured[line + 1].bits - measured[line].bits) / (kMeasured[line + 1] - kMeasured[line]);
    // From the middle rate on, to both sides.
    const double within = std::min(rate, kMeasured[2]) - kMeasured[1];
    const double beyond = std::max(rate - kMeasured[2], 0.0);
    const double bits = measured[1].bits + within * bits_a_rate + beyond;
    effects.push_back({rate, std::max(bits, 0.1), std::exp(log_noise(1) - within * slope(line) - beyond * ideal)});
  }
  return effects;
}

// About what tables and the borders of lanes take (engine/codec/byte_coding.h), and that code lengths are whole. What a
// file really takes is known once layers are rounded (StoredBytes).
double CodingOverhead(double weights) {
  constexpr double kTable = 8 * 64;
  constexpr double kLanes = 64;
  constexpr double kLane = 32;
  constexpr double kWeightsOfLane = 128;
  return kTable + kLane * std::min(kLanes, weights / kWeightsOfLane) + 0.01 * weights;
}

std::vector<LayerOptions> CostsOf(const std::vector<LayerMenu>& menus) {
  std::vector<LayerOptions> layers;
  for (const LayerMenu& menu : menus) {
    LayerOptions& costs = layers.emplace_back();
    for (const CodingOption& option : menu.options) costs.push_back({option.bits, option.noise});
  }
  return layers;
}

std::vector<LayerPrecision> PrecisionOf(const std::vector<LayerMenu>& menus, const Allocation& allocation) {
  std::vector<LayerPrecision> precision;
  for (size_t layer = 0; layer < menus.size(); ++layer) {
    precision.push_back(menus[layer].options[allocation.choice[layer]].precision);
  }
  return precision;
}

LayerPrecision PrecisionOf(const WeightRecipe& recipe) {
  if (recipe.method == WeightMethod::kUniform) return {.bits = recipe.bits, .scale = recipe.scale};
  return {.codebook = recipe.codebook,
          .bits = recipe.codebook == Codebook::kBinary ? 1 : 2,
          .scale = recipe.scale,
          .max_alpha = recipe.max_alpha};
}

}  // namespace

double DecisionMargin(const Calibration& calibration) { return std::max(MeanMargin(calibration.features), 1e-12); }

absl::StatusOr<std::vector<LayerMenu>> MeasureMenus(const Graph& graph, const Calibration& calibration,
                                                    const Tensor& images, const std::vector<WeightRecipe>& menu,
                                                    bool second_order_rounding, ThreadPool* pool,
                                                    const std::function<void(int64_t, int64_t)>& progress) {
  std::vector<LayerPrecision> candidates;  // fixed ones, then rates
  for (const WeightRecipe& entry : menu) {
    if (entry.method != WeightMethod::kAdaptive) candidates.push_back(PrecisionOf(entry));
  }
  const size_t fixed = candidates.size();
  if (fixed < menu.size()) {
    for (const double rate : kMeasured) candidates.push_back({.rate = rate});
  }
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<std::vector<CodingEffect>> effects,
                            MeasureSensitivities(graph, calibration, FirstImages(images, kSensitivityImages),
                                                 candidates, second_order_rounding, pool, progress));
  const double margin = DecisionMargin(calibration);
  std::vector<LayerMenu> menus;
  const std::vector<size_t> nodes = WeightedNodes(graph);
  for (size_t layer = 0; layer < nodes.size(); ++layer) {
    const Shape& shape = graph.constant(WeightsOf(graph.nodes[nodes[layer]].op)).shape();
    LayerMenu& choices = menus.emplace_back(LayerMenu{.weights = shape.elements(), .options = {}});
    const std::span<const CodingEffect> measured = effects[layer];
    for (size_t i = 0; i < fixed; ++i) {
      choices.options.push_back(
          {candidates[i], 8.0 * static_cast<double>(measured[i].stored_bytes), measured[i].noise / margin});
    }
    if (fixed == candidates.size()) continue;
    const auto weights = static_cast<double>(shape.elements());
    const double overhead = CodingOverhead(weights) + kBitsOfScale * static_cast<double>(shape[0]);
    for (const RateEffect& effect : EffectsOfRates(measured.subspan(fixed), margin)) {
      choices.options.push_back({{.rate = effect.rate}, weights * effect.bits + overhead, effect.noise});
    }
  }
  return menus;
}

double LeastNoise(const std::vector<LayerMenu>& menus) {
  double noise = 0;
  for (const LayerMenu& menu : menus) noise += std::ranges::min(menu.options, {}, &CodingOption::noise).noise;
  return noise;
}

double LeastBits(const std::vector<LayerMenu>& menus) {
  double bits = 0;
  for (const LayerMenu& menu : menus) bits += std::ranges::min(menu.options, {}, &CodingOption::bits).bits;
  return bits;
}

absl::StatusOr<std::vector<LayerPrecision>> AllocateForNoise(const std::vector<LayerMenu>& menus, double noise) {
  const absl::StatusOr<Allocation> allocation = AllocateUnderDistortion(CostsOf(menus), noise);
  if (allocation.status().code() == absl::StatusCode::kFailedPrecondition) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "budget: noise %.4g cannot be kept, %.4g is the least that the menu has", noise, LeastNoise(menus)));
  }
  BITSTAGE_RETURN_IF_ERROR(allocation.status());
  return PrecisionOf(menus, *allocation);
}

absl::StatusOr<std::vector<LayerPrecision>> AllocateForSize(const std::vector<LayerMenu>& menus, double bits) {
  const absl::StatusOr<Allocation> allocation = AllocateUnderCost(CostsOf(menus), bits);
  if (allocation.status().code() == absl::StatusCode::kFailedPrecondition) {
    return absl::InvalidArgumentError(absl::StrCat("budget: ", std::lround(bits / 8), " bytes of weights are too few, ",
                                                   std::lround(std::ceil(LeastBits(menus) / 8)),
                                                   " is the least that the menu has, scales included"));
  }
  BITSTAGE_RETURN_IF_ERROR(allocation.status());
  return PrecisionOf(menus, *allocation);
}

absl::StatusOr<std::vector<LayerPrecision>> AllocateByDefault(const std::vector<LayerMenu>& menus) {
  double weights = 0;
  for (const LayerMenu& menu : menus) weights += static_cast<double>(menu.weights);
  const std::vector<LayerOptions> layers = CostsOf(menus);
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Allocation> curve, AllocationCurve(layers));
  // Along the curve cost rises and noise falls.
  for (const Allocation& point : curve) {
    if (point.cost <= kDefaultBits * weights && point.distortion <= kQuietNoise) return PrecisionOf(menus, point);
  }
  // Networks of few weights an output cannot be that small: their scales alone take more.
  const absl::StatusOr<Allocation> small = AllocateUnderCost(layers, kDefaultBits * weights);
  if (small.ok() && small->distortion <= kLoudNoise) return PrecisionOf(menus, *small);
  const double most = std::max(kMostBits * weights, curve.front().cost);
  for (const Allocation& point : curve) {
    if (point.cost <= most && point.distortion <= kLoudNoise) return PrecisionOf(menus, point);
  }
  BITSTAGE_ASSIGN_OR_RETURN(const Allocation large, AllocateUnderCost(layers, most));
  return PrecisionOf(menus, large);
}

std::vector<LayerPrecision> FixedPrecision(const Graph& graph, const WeightRecipe& recipe) {
  const std::vector<size_t> nodes = WeightedNodes(graph);
  std::vector<LayerPrecision> all(nodes.size(), PrecisionOf(recipe));
  if (recipe.method == WeightMethod::kSyq || recipe.only_inner) all.front() = all.back() = LayerPrecision{};
  for (size_t i = 0; i < all.size(); ++i) {
    if (recipe.only_inner && IsDepthwise(graph, graph.nodes[nodes[i]].op)) all[i] = LayerPrecision{};
  }
  return all;
}

}  // namespace bitstage
