#include "engine/compression/precision.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/compression/sensitivity.h"

namespace bitstage {
namespace {

// The widths whose noise is measured; the others follow.
constexpr int kMeasuredLow = 3;
constexpr int kMeasuredHigh = 5;
constexpr double kBitsOfScale = 32;

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

// One bit more where it takes away most noise a bit of storage; false where all layers are at kMaxBits.
bool Widen(const std::vector<LayerMenu>& menus, std::vector<LayerPrecision>& precision, double* noise) {
  double best_rate = -1;
  size_t best = 0;
  for (size_t i = 0; i < menus.size(); ++i) {
    const auto at = static_cast<size_t>(precision[i].bits - kMinBits);
    if (at + 1 >= menus[i].noise.size()) continue;
    const double rate = (menus[i].noise[at] - menus[i].noise[at + 1]) / static_cast<double>(menus[i].weights);
    if (rate > best_rate) {
      best_rate = rate;
      best = i;
    }
  }
  if (best_rate < 0) return false;
  const auto at = static_cast<size_t>(precision[best].bits - kMinBits);
  *noise += menus[best].noise[at + 1] - menus[best].noise[at];
  ++precision[best].bits;
  return true;
}

double SizeInBits(const std::vector<LayerMenu>& menus, const std::vector<LayerPrecision>& precision) {
  double bits = 0;
  for (size_t i = 0; i < menus.size(); ++i) {
    bits += static_cast<double>(menus[i].weights) * precision[i].bits + static_cast<double>(menus[i].outputs) * kBitsOfScale;
  }
  return bits;
}

}  // namespace

absl::StatusOr<std::vector<LayerMenu>> MeasureMenus(const Graph& graph, const Calibration& calibration,
                                                    const Tensor& images, ThreadPool* pool,
                                                    const std::function<void(int64_t, int64_t)>& progress) {
  BITSTAGE_ASSIGN_OR_RETURN(
      const std::vector<std::vector<double>> noise,
      MeasureSensitivities(graph, calibration, images, {kMeasuredLow, kMeasuredHigh}, pool, progress));
  const double margin = std::max(MeanMargin(calibration.features), 1e-12);
  std::vector<LayerMenu> menus;
  const std::vector<size_t> nodes = WeightedNodes(graph);
  for (size_t layer = 0; layer < nodes.size(); ++layer) {
    const Shape& shape = graph.constant(WeightsOf(graph.nodes[nodes[layer]].op)).shape();
    menus.push_back({shape.elements(), shape[0], NoiseCurve(noise[layer][0] / margin, noise[layer][1] / margin)});
  }
  return menus;
}

std::vector<LayerPrecision> AllocateForNoise(const std::vector<LayerMenu>& menus, double noise) {
  std::vector<LayerPrecision> precision(menus.size(), LayerPrecision{Codebook::kUniform, kMinBits, ScaleKind::kChannel});
  double sum = 0;
  for (const LayerMenu& menu : menus) sum += menu.noise[0];
  while (sum > noise && Widen(menus, precision, &sum)) {
  }
  return precision;
}

absl::StatusOr<std::vector<LayerPrecision>> AllocateForSize(const std::vector<LayerMenu>& menus, double bits) {
  std::vector<LayerPrecision> precision(menus.size(), LayerPrecision{Codebook::kUniform, kMinBits, ScaleKind::kChannel});
  const double least = SizeInBits(menus, precision);
  if (least > bits) {
    return absl::InvalidArgumentError(absl::StrCat("budget: ", std::lround(bits / 8), " bytes of weights are too few, ",
                                                   std::lround(least / 8), " is the least (", kMinBits,
                                                   " bits everywhere, scales included)"));
  }
  double sum = 0;
  for (std::vector<LayerPrecision> next = precision; Widen(menus, next, &sum) && SizeInBits(menus, next) <= bits;) {
    precision = next;
  }
  return precision;
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
