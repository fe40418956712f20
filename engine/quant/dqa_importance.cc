#include "engine/quant/dqa_importance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

double Distortion(const Histogram& channel, int width, DqaMode mode) {
  const Levels levels = mode == DqaMode::kLiteral ? Levels::Signed(width) : Levels::Unsigned(width);
  const double step = mode == DqaMode::kLiteral ? DqaStep(channel.MaxAbs(), width) : MseStep(channel, levels);
  return step == 0 ? 0 : MeanSquaredError(channel, step, levels) * static_cast<double>(channel.count());
}

}  // namespace

std::vector<double> MseGains(std::span<const Histogram> channels, int n, int m, DqaMode mode) {
  std::vector<double> gains;
  for (const Histogram& channel : channels)
    gains.push_back(Distortion(channel, n, mode) - Distortion(channel, n + m, mode));
  return gains;
}

ImportantChannels TopChannels(std::span<const double> scores, double share) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  const auto kept = static_cast<size_t>(std::floor(static_cast<double>(scores.size()) * std::clamp(share, 0.0, 1.0)));
  ImportantChannels important(scores.size(), 0);
  for (size_t i = 0; i < kept; ++i) important[order[i]] = 1;
  return important;
}

absl::StatusOr<std::vector<std::vector<double>>> GreedyImportance(std::span<const int64_t> channels_of_layer,
                                                                  AccuracyOfChannels accuracy) {
  QuantizedChannels quantized;
  for (const int64_t channels : channels_of_layer) quantized.emplace_back(static_cast<size_t>(channels), uint8_t{0});
  std::vector<std::vector<double>> importance(quantized.size());
  for (size_t layer = 0; layer < quantized.size(); ++layer) {
    std::vector<uint8_t>& flags = quantized[layer];
    std::fill(flags.begin(), flags.end(), uint8_t{1});
    for (size_t c = 0; c < flags.size(); ++c) {
      flags[c] = 0;
      BITSTAGE_ASSIGN_OR_RETURN(const double score, accuracy(quantized));
      importance[layer].push_back(score);
      flags[c] = 1;
    }
    if (flags.empty()) continue;
    const auto best = std::max_element(importance[layer].begin(), importance[layer].end());
    flags[static_cast<size_t>(best - importance[layer].begin())] = 0;
  }
  return importance;
}

}  // namespace bitstage
