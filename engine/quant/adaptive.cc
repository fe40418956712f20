#include "engine/quant/adaptive.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

double TotalSize(std::span<const LayerNoise> layers) {
  double total = 0;
  for (const LayerNoise& layer : layers) total += layer.s;
  return total;
}

double Noise(const LayerNoise& layer, double bits) { return layer.p / layer.t * std::exp(-kNoisePerBit * bits); }

}  // namespace

double SquaredMargin(std::span<const float> z) {
  float first = -std::numeric_limits<float>::infinity();
  float second = first;
  for (const float value : z) {
    if (value > first) {
      second = first;
      first = value;
    } else {
      second = std::max(second, value);
    }
  }
  const double margin = static_cast<double>(first) - second;
  return margin * margin / 2;
}

double NoiseCoefficient(double mean_squared_noise, double bits) {
  return mean_squared_noise * std::exp(kNoisePerBit * bits);
}

std::vector<double> ClosedFormBits(std::span<const LayerNoise> layers, double noise_budget) {
  const double total = TotalSize(layers);
  std::vector<double> bits;
  for (const LayerNoise& layer : layers) {
    bits.push_back(std::log(layer.p * total / (layer.t * layer.s * noise_budget)) / kNoisePerBit);
  }
  return bits;
}

double TotalNoise(std::span<const LayerNoise> layers, std::span<const double> bits) {
  double total = 0;
  for (size_t i = 0; i < layers.size(); ++i) total += Noise(layers[i], bits[i]);
  return total;
}

std::vector<double> NoiseShares(std::span<const LayerNoise> layers, std::span<const double> bits) {
  const double total = TotalNoise(layers, bits);
  std::vector<double> shares;
  for (size_t i = 0; i < layers.size(); ++i) shares.push_back(Noise(layers[i], bits[i]) / total);
  return shares;
}

double MeanBits(std::span<const LayerNoise> layers, std::span<const double> bits) {
  double sum = 0;
  for (size_t i = 0; i < layers.size(); ++i) sum += layers[i].s * bits[i];
  return sum / TotalSize(layers);
}

double EqualBits(std::span<const LayerNoise> layers, double noise_budget) {
  double noise_at_zero_bits = 0;
  for (const LayerNoise& layer : layers) noise_at_zero_bits += layer.p / layer.t;
  return std::log(noise_at_zero_bits / noise_budget) / kNoisePerBit;
}

std::vector<double> SqnrBits(std::span<const LayerNoise> layers, double noise_budget) {
  std::vector<LayerNoise> by_size(layers.begin(), layers.end());
  for (LayerNoise& layer : by_size) layer.p = layer.t = 1;
  std::vector<double> bits = ClosedFormBits(by_size, 1);
  const double raise = std::log(TotalNoise(layers, bits) / noise_budget) / kNoisePerBit;
  for (double& b : bits) b += raise;
  return bits;
}

std::vector<std::vector<int>> RoundingVariants(std::span<const double> bits, int lowest, int highest) {
  std::vector<double> thresholds = {0.5, 2.0};  // 2: everything down
  for (const double b : bits) thresholds.push_back(b - std::floor(b));
  std::sort(thresholds.begin(), thresholds.end(), std::greater<>());
  std::vector<std::vector<int>> variants;
  for (const double threshold : thresholds) {
    std::vector<int> variant;
    for (const double b : bits) {
      const double rounded = b - std::floor(b) >= threshold ? std::ceil(b) : std::floor(b);
      variant.push_back(
          static_cast<int>(std::clamp(rounded, static_cast<double>(lowest), static_cast<double>(highest))));
    }
    if (variants.empty() || variants.back() != variant) variants.push_back(std::move(variant));
  }
  return variants;
}

absl::StatusOr<Robustness> NoiseForAccuracy(double target_accuracy, double start, int steps, EvaluateNoise evaluate) {
  constexpr int kMostDoublings = 40;
  BITSTAGE_ASSIGN_OR_RETURN(NoiseEffect effect, evaluate(start));
  double quiet = start;  // accuracy at or above the target
  double loud = start;   // below it
  const bool rising = effect.accuracy >= target_accuracy;
  for (int i = 0; (effect.accuracy >= target_accuracy) == rising; ++i) {
    if (i == kMostDoublings) {
      return absl::FailedPreconditionError(absl::StrCat("accuracy stays ", rising ? "above " : "below ",
                                                        target_accuracy, " at noise of scale ", rising ? loud : quiet));
    }
    double& end = rising ? loud : quiet;
    (rising ? quiet : loud) = end;
    end *= rising ? 2 : 0.5;
    BITSTAGE_ASSIGN_OR_RETURN(effect, evaluate(end));
  }
  Robustness found;
  for (int i = 0; i < steps; ++i) {
    const double middle = std::sqrt(quiet * loud);
    BITSTAGE_ASSIGN_OR_RETURN(effect, evaluate(middle));
    found = {middle, effect.squared_noise};
    (effect.accuracy >= target_accuracy ? quiet : loud) = middle;
  }
  return found;
}

}  // namespace bitstage
