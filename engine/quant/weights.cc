#include "engine/quant/weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/quant/rounding.h"

namespace bitstage {
namespace {

struct Fit {
  double error = 0;                // Σ h (w − ŵ)²
  double least_squares_scale = 0;  // the best scale for these codes
};

Fit Evaluate(std::span<const float> weights, std::span<const double> importance, double scale, int magnitude) {
  const double per_scale = 1 / scale;
  double error = 0;
  double product = 0;
  double square = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double w = weights[i];
    const double h = importance.empty() ? 1.0 : importance[i % importance.size()];
    const double q =
        RoundHalfEven(std::clamp(w * per_scale, -static_cast<double>(magnitude), static_cast<double>(magnitude)));
    error += h * (w - scale * q) * (w - scale * q);
    product += h * w * q;
    square += h * q * q;
  }
  return {error, square == 0 ? scale : product / square};
}

}  // namespace

double UniformScale(std::span<const float> weights, int magnitude, WeightClip clip,
                    std::span<const double> importance) {
  double largest = 0;
  for (const float w : weights) largest = std::max(largest, std::abs(static_cast<double>(w)));
  const double widest = largest / magnitude;
  if (clip == WeightClip::kMax || widest == 0) return widest;

  constexpr double kRatio = 1.05;
  constexpr int kCandidates = 57;  // 1.05^-56 = 1/15.4
  constexpr int kIterations = 20;
  double best = widest;
  Fit best_fit = Evaluate(weights, importance, widest, magnitude);
  for (int i = 1; i < kCandidates; ++i) {
    const double scale = widest * std::pow(kRatio, -i);
    const Fit fit = Evaluate(weights, importance, scale, magnitude);
    if (fit.error < best_fit.error) {
      best_fit = fit;
      best = scale;
    }
  }
  for (int i = 0; i < kIterations; ++i) {
    const double scale = best_fit.least_squares_scale;
    const Fit fit = Evaluate(weights, importance, scale, magnitude);
    if (!(fit.error < best_fit.error)) break;
    best_fit = fit;
    best = scale;
  }
  return best;
}

int NearestCode(double x, Codebook codebook, int magnitude) {
  if (codebook == Codebook::kBinary) return x < 0 ? -1 : 1;
  return static_cast<int>(
      RoundHalfEven(std::clamp(x, -static_cast<double>(magnitude), static_cast<double>(magnitude))));
}

WeightCodes UniformWeights(const Shape& shape, std::span<const float> weights, int bits, ScaleKind kind,
                           WeightClip clip, std::span<const double> importance) {
  WeightCodes result;
  result.shape = shape;
  result.codebook = Codebook::kUniform;
  result.bits = bits;
  result.kind = kind;
  const int magnitude = result.MaxMagnitude();
  const size_t scales = kind == ScaleKind::kChannel ? static_cast<size_t>(shape[0]) : 1;
  const size_t per_scale = weights.size() / scales;

  std::vector<double> found;
  for (size_t s = 0; s < scales; ++s) {
    // With a row for every output channel the one of this channel counts, else the one row counts for all.
    const std::span<const double> row =
        importance.size() == weights.size() ? importance.subspan(s * per_scale, per_scale) : importance;
    found.push_back(UniformScale(weights.subspan(s * per_scale, per_scale), magnitude, clip, row));
  }
  double widest = *std::max_element(found.begin(), found.end());
  if (widest == 0) widest = 1;
  result.codes.reserve(weights.size());
  for (size_t s = 0; s < scales; ++s) {
    result.scale.push_back(
        std::max(static_cast<float>(found[s] == 0 ? widest : found[s]), std::numeric_limits<float>::min()));
    for (const float w : weights.subspan(s * per_scale, per_scale)) {
      result.codes.push_back(
          static_cast<int8_t>(NearestCode(w / static_cast<double>(result.scale[s]), result.codebook, magnitude)));
    }
  }
  return result;
}

}  // namespace bitstage
