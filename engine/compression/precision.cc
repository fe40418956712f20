#include "engine/compression/precision.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/compression/sensitivity.h"
#include "engine/quant/allocation.h"

namespace bitstage {
namespace {

// The widths whose noise is measured; the others follow.
constexpr int kMeasuredLow = 3;
constexpr int kMeasuredHigh = 5;
constexpr double kBitsOfScale = 32;

// The default budget: as few bits as keep the noise below kQuietNoise of the margin; where that would take more than
// kDefaultBits a weight, as few more as keep it below kLoudNoise, but not more than kMostBits.
constexpr double kQuietNoise = 0.05;
constexpr double kDefaultBits = 4.45;
constexpr double kLoudNoise = 0.15;
constexpr double kMostBits = 5.8;

// Images that sensitivities are measured on: their mean settles long before ranges and second moments do.
constexpr int64_t kSensitivityImages = 32;

Tensor FirstImages(const Tensor& images, int64_t count) {
  Shape shape = images.shape();
  shape[0] = std::min(shape[0], count);
  return Tensor::Of<float>(shape, images.Span<float>().first(static_cast<size_t>(shape.elements())));
}

// noise(b) = noise(low) · e^{−α(b − low)} through the two measured points; α at least half of the ideal ln 4, so that a
// noisy measurement cannot make bits look useless.
std::vector<double> NoiseCurve(double low, double high) {
  constexpr double kTiny = 1e-12;
  const double ideal = std::log(4.0);
  const double measured = std::log(std::max(low, kTiny) / std::max(high, kTiny)) / (kMeasuredHigh - kMeasuredLow);
  const double alpha = std::clamp(measured, ideal / 2, ideal * 1.5);
  std::vector<double> curve;
  for (int bits = kMinBits; bits <= kMaxBits; ++bits) {
    // Beyond the measured widths the ideal slope holds.
    const double slope_to_high = bits <= kMeasuredHigh ? alpha : ideal;
    const double anchor = bits <= kMeasuredHigh ? low : low * std::exp(-alpha * (kMeasuredHigh - kMeasuredLow));
    const int from = bits <= kMeasuredHigh ? kMeasuredLow : kMeasuredHigh;
    curve.push_back(anchor * std::exp(-slope_to_high * (bits - from)));
  }
  return curve;
}

// Options kMinBits, kMinBits + 1, … of every layer: bits at rest, scales included, and noise.
std::vector<LayerOptions> OptionsOf(const std::vector<LayerMenu>& menus) {
  std::vector<LayerOptions> layers;
  for (const LayerMenu& menu : menus) {
    LayerOptions& options = layers.emplace_back();
    for (size_t i = 0; i < menu.noise.size(); ++i) {
      const double bits = kMinBits + static_cast<double>(i);
      options.push_back(
          {static_cast<double>(menu.weights) * bits + static_cast<double>(menu.outputs) * kBitsOfScale, menu.noise[i]});
    }
  }
  return layers;
}

std::vector<LayerPrecision> PrecisionOf(const Allocation& allocation) {
  std::vector<LayerPrecision> precision;
  for (const size_t choice : allocation.choice) {
    precision.push_back({Codebook::kUniform, kMinBits + static_cast<int>(choice), ScaleKind::kChannel});
  }
  return precision;
}

}  // namespace

absl::StatusOr<std::vector<LayerMenu>> MeasureMenus(const Graph& graph, const Calibration& calibration,
                                                    const Tensor& images, bool second_order_rounding, ThreadPool* pool,
                                                    const std::function<void(int64_t, int64_t)>& progress) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<std::vector<double>> noise,
                            MeasureSensitivities(graph, calibration, FirstImages(images, kSensitivityImages),
                                                 {kMeasuredLow, kMeasuredHigh}, second_order_rounding, pool, progress));
  const double margin = std::max(MeanMargin(calibration.features), 1e-12);
  std::vector<LayerMenu> menus;
  const std::vector<size_t> nodes = WeightedNodes(graph);
  for (size_t layer = 0; layer < nodes.size(); ++layer) {
    const Shape& shape = graph.constant(WeightsOf(graph.nodes[nodes[layer]].op)).shape();
    menus.push_back({shape.elements(), shape[0], NoiseCurve(noise[layer][0] / margin, noise[layer][1] / margin)});
  }
  return menus;
}

absl::StatusOr<std::vector<LayerPrecision>> AllocateForNoise(const std::vector<LayerMenu>& menus, double noise) {
  const std::vector<LayerOptions> layers = OptionsOf(menus);
  absl::StatusOr<Allocation> allocation = AllocateUnderDistortion(layers, noise);
  // More noise than asked for is what the widest codes give: take them.
  if (allocation.status().code() == absl::StatusCode::kFailedPrecondition) {
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Allocation> curve, AllocationCurve(layers));
    return PrecisionOf(curve.back());
  }
  BITSTAGE_RETURN_IF_ERROR(allocation.status());
  return PrecisionOf(*allocation);
}

absl::StatusOr<std::vector<LayerPrecision>> AllocateForSize(const std::vector<LayerMenu>& menus, double bits) {
  const std::vector<LayerOptions> layers = OptionsOf(menus);
  double least = 0;
  for (const LayerOptions& options : layers) least += options.front().cost;
  if (least > bits) {
    return absl::InvalidArgumentError(absl::StrCat("budget: ", std::lround(bits / 8), " bytes of weights are too few, ",
                                                   std::lround(least / 8), " is the least (", kMinBits,
                                                   " bits everywhere, scales included)"));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const Allocation allocation, AllocateUnderCost(layers, bits));
  return PrecisionOf(allocation);
}

absl::StatusOr<std::vector<LayerPrecision>> AllocateByDefault(const std::vector<LayerMenu>& menus) {
  double weights = 0;
  for (const LayerMenu& menu : menus) weights += static_cast<double>(menu.weights);
  const std::vector<LayerOptions> layers = OptionsOf(menus);
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Allocation> curve, AllocationCurve(layers));
  // Along the curve cost rises and noise falls.
  for (const Allocation& point : curve) {
    if (point.cost <= kDefaultBits * weights && point.distortion <= kQuietNoise) return PrecisionOf(point);
  }
  // Networks of few weights an output cannot be that small: their scales alone take more.
  const absl::StatusOr<Allocation> small = AllocateUnderCost(layers, kDefaultBits * weights);
  if (small.ok() && small->distortion <= kLoudNoise) return PrecisionOf(*small);
  const double most = std::max(kMostBits * weights, curve.front().cost);
  for (const Allocation& point : curve) {
    if (point.cost <= most && point.distortion <= kLoudNoise) return PrecisionOf(point);
  }
  BITSTAGE_ASSIGN_OR_RETURN(const Allocation large, AllocateUnderCost(layers, most));
  return PrecisionOf(large);
}

std::vector<LayerPrecision> FixedPrecision(const Graph& graph, const WeightRecipe& recipe) {
  const size_t layers = WeightedNodes(graph).size();
  LayerPrecision precision{Codebook::kUniform, recipe.bits, recipe.scale};
  if (recipe.method == WeightMethod::kSyq) {
    precision = {recipe.codebook, recipe.codebook == Codebook::kBinary ? 1 : 2, recipe.scale};
  }
  std::vector<LayerPrecision> all(layers, precision);
  if (recipe.method == WeightMethod::kSyq) all.front() = all.back() = LayerPrecision{};
  return all;
}

}  // namespace bitstage
