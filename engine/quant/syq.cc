#include "engine/quant/syq.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace bitstage {
namespace {

ScaleKind KindFor(const Shape& shape, ScaleKind kind) {
  const bool has_kernel = shape.rank() == 4;
  return !has_kernel && (kind == ScaleKind::kRow || kind == ScaleKind::kPixel) ? ScaleKind::kLayer : kind;
}

double Sign(double x) { return x < 0 ? -1 : 1; }

struct IntegerAlphas {
  double scale = 1;
  std::vector<uint8_t> alpha;
};

// For a given scale the best integers are the nearest ones; for given integers the best scale is the least-squares one,
// Σ n α a / Σ n a². Every integer that the largest alpha may become in the upper half of the range is tried as the
// start.
IntegerAlphas ToIntegers(std::span<const double> alphas, std::span<const double> weight, int max_alpha) {
  const double largest = *std::max_element(alphas.begin(), alphas.end());
  if (largest <= 0) return {std::numeric_limits<float>::min(), std::vector<uint8_t>(alphas.size(), 1)};
  IntegerAlphas best;
  double least = std::numeric_limits<double>::infinity();
  for (int top = max_alpha / 2 + 1; top <= max_alpha; ++top) {
    IntegerAlphas candidate;
    const double start = largest / top;
    double product = 0;
    double square = 0;
    for (size_t i = 0; i < alphas.size(); ++i) {
      const double a = std::clamp(std::nearbyint(alphas[i] / start), 1.0, static_cast<double>(max_alpha));
      candidate.alpha.push_back(static_cast<uint8_t>(a));
      product += weight[i] * alphas[i] * a;
      square += weight[i] * a * a;
    }
    candidate.scale = product > 0 ? product / square : start;
    double error = 0;
    for (size_t i = 0; i < alphas.size(); ++i) {
      const double difference = alphas[i] - candidate.scale * candidate.alpha[i];
      error += weight[i] * difference * difference;
    }
    if (error < least) {
      least = error;
      best = std::move(candidate);
    }
  }
  return best;
}

float PositiveScale(double scale) { return std::max(static_cast<float>(scale), std::numeric_limits<float>::min()); }

}  // namespace

int64_t SyqSubgroups(const Shape& shape, ScaleKind kind) {
  switch (KindFor(shape, kind)) {
    case ScaleKind::kLayer: return 1;
    case ScaleKind::kChannel: return shape[0];
    case ScaleKind::kRow: return shape[2];
    case ScaleKind::kPixel: return shape[2] * shape[3];
  }
  return 1;
}

int64_t SyqSubgroupOf(const Shape& shape, ScaleKind kind, int64_t index) {
  switch (KindFor(shape, kind)) {
    case ScaleKind::kLayer: return 0;
    case ScaleKind::kChannel: return index / shape.InnerElements(0);
    case ScaleKind::kRow: return index / shape[3] % shape[2];
    case ScaleKind::kPixel: return index % (shape[2] * shape[3]);
  }
  return 0;
}

double SyqThreshold(std::span<const float> weights, Codebook codebook) {
  if (codebook == Codebook::kBinary) return 0;
  double largest = 0;
  for (const float w : weights) largest = std::max(largest, std::abs(static_cast<double>(w)));
  return 0.05 * largest;
}

std::vector<int8_t> SyqCodes(std::span<const float> weights, double eta, Codebook codebook) {
  std::vector<int8_t> codes;
  codes.reserve(weights.size());
  for (const float w : weights) {
    const bool is_zero = codebook != Codebook::kBinary && (w == 0 || std::abs(static_cast<double>(w)) < eta);
    codes.push_back(static_cast<int8_t>(is_zero ? 0 : Sign(w)));
  }
  return codes;
}

std::vector<double> SyqMeanAlphas(const Shape& shape, ScaleKind kind, std::span<const float> weights) {
  std::vector<double> alphas(static_cast<size_t>(SyqSubgroups(shape, kind)));
  for (size_t i = 0; i < weights.size(); ++i) {
    alphas[static_cast<size_t>(SyqSubgroupOf(shape, kind, static_cast<int64_t>(i)))] += std::abs(weights[i]);
  }
  const double size = static_cast<double>(weights.size()) / static_cast<double>(alphas.size());
  for (double& alpha : alphas) alpha /= size;
  return alphas;
}

std::vector<double> SyqLeastSquaresAlphas(const Shape& shape, ScaleKind kind, std::span<const float> weights,
                                          std::span<const int8_t> codes) {
  std::vector<double> product(static_cast<size_t>(SyqSubgroups(shape, kind)));
  std::vector<double> square(product.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto group = static_cast<size_t>(SyqSubgroupOf(shape, kind, static_cast<int64_t>(i)));
    product[group] += static_cast<double>(weights[i]) * codes[i];
    square[group] += codes[i] * codes[i];
  }
  for (size_t i = 0; i < product.size(); ++i) product[i] = square[i] == 0 ? 0 : product[i] / square[i];
  return product;
}

SyqGradients SyqBackward(const Shape& shape, ScaleKind kind, std::span<const float> weights, double eta,
                         std::span<const double> alphas, std::span<const float> g) {
  SyqGradients gradients;
  gradients.alphas.resize(alphas.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    const auto group = static_cast<size_t>(SyqSubgroupOf(shape, kind, static_cast<int64_t>(i)));
    const bool is_coded = std::abs(static_cast<double>(weights[i])) > eta;
    gradients.weights.push_back(is_coded ? alphas[group] * g[i] : static_cast<double>(g[i]));
    if (is_coded) gradients.alphas[group] += Sign(weights[i]) * g[i];
  }
  return gradients;
}

WeightCodes SyqWeights(const Shape& shape, Codebook codebook, ScaleKind kind, std::vector<int8_t> codes,
                       std::span<const double> alphas, int max_alpha) {
  WeightCodes result;
  result.shape = shape;
  result.codebook = codebook;
  result.bits = codebook == Codebook::kBinary ? 1 : 2;
  result.kind = KindFor(shape, kind);
  result.codes = std::move(codes);
  if (result.kind == ScaleKind::kLayer || result.kind == ScaleKind::kChannel) {
    for (const double alpha : alphas) result.scale.push_back(PositiveScale(alpha));
    return result;
  }
  std::vector<double> counts(alphas.size());
  for (size_t i = 0; i < result.codes.size(); ++i) {
    if (result.codes[i] == 0) continue;
    counts[static_cast<size_t>(SyqSubgroupOf(shape, result.kind, static_cast<int64_t>(i)))] += 1;
  }
  IntegerAlphas integers = ToIntegers(alphas, counts, max_alpha);
  result.scale = {PositiveScale(integers.scale)};
  result.alpha = std::move(integers.alpha);
  return result;
}

}  // namespace bitstage
