#include "engine/quant/dqa.h"

#include <algorithm>
#include <cmath>

namespace bitstage {

double DqaStep(double max_abs, int width) { return std::ldexp(max_abs, 1 - width); }

DqaChannel QuantizeDqa(std::span<const float> values, int n, int m) {
  DqaChannel channel;
  for (const float x : values) channel.max_abs = std::max(channel.max_abs, std::abs(static_cast<double>(x)));
  channel.step = DqaStep(channel.max_abs, n + m);
  for (const float x : values) channel.codes.push_back(UniformCode(x, channel.step, Levels::Signed(n + m)));
  return channel;
}

Grid LiteralDqaGrid(std::span<const double> channel_max_abs, const ImportantChannels& important, int n, int m) {
  Grid grid;
  grid.zero_point = 1 << (n + m - 1);
  grid.step.clear();
  grid.bits.clear();
  grid.shift.clear();
  for (size_t c = 0; c < channel_max_abs.size(); ++c) {
    // A channel of zeros: any step gives code 0 to the value 0.
    const double max_abs = channel_max_abs[c] == 0 ? 1 : channel_max_abs[c];
    grid.step.push_back(static_cast<float>(DqaStep(max_abs, n + m)));
    grid.bits.push_back(static_cast<uint8_t>(important[c] != 0 ? n + m : n));
    grid.shift.push_back(static_cast<uint8_t>(important[c] != 0 ? 0 : m));
  }
  return grid;
}

Grid ServedDqaGrid(std::span<const Histogram> channels, const ImportantChannels& important, int n, int m, StepKind kind,
                   ClipRule rule, int code_bits) {
  std::vector<uint8_t> bits;
  for (const uint8_t flag : important) bits.push_back(static_cast<uint8_t>(flag != 0 ? n + m : n));
  return UnsignedGrid(channels, bits, kind, rule, code_bits);
}

}  // namespace bitstage
