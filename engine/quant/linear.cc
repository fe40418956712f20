#include "engine/quant/linear.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "engine/quant/rounding.h"

namespace bitstage {
namespace {

// A histogram's bins that can cost something, flat: zeros are exact on every grid.
struct Bins {
  std::vector<double> middles;
  std::vector<double> counts;
  double spread = 0;  // Σ count · width² / 12

  explicit Bins(const Histogram& histogram) {
    histogram.ForEachBin([&](double x, uint64_t n) {
      if (x == 0) return;
      middles.push_back(x);
      counts.push_back(static_cast<double>(n));
      spread += static_cast<double>(n);
    });
    spread *= histogram.bin_width() * histogram.bin_width() / 12;
  }
};

double SquaredError(const Bins& bins, double step, Levels levels) {
  const double per_step = 1 / step;
  const double low = levels.low;
  const double high = levels.high;
  double error = bins.spread;
  for (size_t i = 0; i < bins.middles.size(); ++i) {
    const double x = bins.middles[i];
    const double rounded = step * RoundHalfEven(std::clamp(x * per_step, low, high));
    error += bins.counts[i] * (x - rounded) * (x - rounded);
  }
  return error;
}

// The largest magnitude that the levels can do something for.
double Reach(const Histogram& histogram, Levels levels) {
  return levels.low < 0 ? histogram.MaxAbs() : std::max(0.0, static_cast<double>(histogram.max()));
}

}  // namespace

int UniformCode(double x, double step, Levels levels) {
  if (step == 0) return 0;
  return static_cast<int>(
      RoundHalfEven(std::clamp(x / step, static_cast<double>(levels.low), static_cast<double>(levels.high))));
}

double MeanSquaredError(const Histogram& histogram, double step, Levels levels) {
  if (histogram.count() == 0) return 0;
  return SquaredError(Bins(histogram), step, levels) / static_cast<double>(histogram.count());
}

double PercentileClip(const Histogram& histogram, double fraction) {
  std::vector<std::pair<double, uint64_t>> magnitudes;
  const double half_bin = histogram.bin_width() / 2;
  histogram.ForEachBin([&](double x, uint64_t n) { magnitudes.emplace_back(x == 0 ? 0 : std::abs(x) + half_bin, n); });
  std::sort(magnitudes.begin(), magnitudes.end());
  const double wanted = fraction * static_cast<double>(histogram.count());
  double seen = 0;
  for (const auto& [magnitude, n] : magnitudes) {
    seen += static_cast<double>(n);
    if (seen >= wanted) return std::min(magnitude, histogram.MaxAbs());
  }
  return histogram.MaxAbs();
}

double SharedMseStep(std::span<const SharedStepPart> parts) {
  constexpr double kRatio = 1.05;
  constexpr int kCandidates = 86;  // 1.05^-85 = 1/63
  constexpr int kRefinement = 8;
  std::vector<Bins> bins;
  double widest = 0;
  for (const SharedStepPart& part : parts) {
    bins.emplace_back(*part.histogram);
    widest = std::max(widest, Reach(*part.histogram, part.levels) / (part.multiple * std::max(1, part.levels.high)));
  }
  if (widest == 0) return 0;

  double best_step = widest;
  double best_error = std::numeric_limits<double>::infinity();
  const auto consider = [&](double step) {
    double error = 0;
    for (size_t i = 0; i < parts.size(); ++i) error += SquaredError(bins[i], step * parts[i].multiple, parts[i].levels);
    if (error < best_error) {
      best_error = error;
      best_step = step;
    }
  };
  for (int i = 0; i < kCandidates; ++i) consider(widest * std::pow(kRatio, -i));
  const double coarse = best_step;
  for (int i = 1 - kRefinement; i < kRefinement; ++i) {
    consider(std::min(widest, coarse * std::pow(kRatio, static_cast<double>(i) / kRefinement)));
  }
  return best_step;
}

double MseStep(const Histogram& histogram, Levels levels) {
  const SharedStepPart whole{&histogram, 1.0, levels};
  return SharedMseStep({&whole, 1});
}

double StepFor(const Histogram& histogram, Levels levels, ClipRule rule) {
  const double reach = Reach(histogram, levels);
  switch (rule.kind) {
    case ClipRule::kMse: return MseStep(histogram, levels);
    case ClipRule::kPercentile:
      return std::min(reach, PercentileClip(histogram, rule.percentile)) / std::max(1, levels.high);
    case ClipRule::kMax: break;
  }
  double step = std::max(0.0, static_cast<double>(histogram.max())) / std::max(1, levels.high);
  if (levels.low < 0) step = std::max(step, static_cast<double>(histogram.min()) / levels.low);
  return step;
}

}  // namespace bitstage
