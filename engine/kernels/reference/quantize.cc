#include "engine/kernels/reference/reference.h"

namespace bitstage::kernels::reference {
namespace {

// As Grid::Code. Clamped before it is rounded, which is the same because the bounds are whole numbers; adding
// 1.5 · 2^23 leaves a float no fraction bits, rounding half to even. No branches: the loop becomes vectors.
void QuantizeLine(const QuantizeChannel& channel, const float* x, int64_t count, uint8_t* codes) {
  constexpr float kNoFraction = 12582912.0f;
  const float unit = 1.0f / static_cast<float>(1 << channel.shift);  // a power of two: multiplying is dividing
  for (int64_t i = 0; i < count; ++i) {
    const float t = ((x[i] == x[i] ? x[i] : 0.0f) / channel.step + channel.zero_point) * unit;
    const float clamped = t > 0.0f ? (t < channel.top ? t : channel.top) : 0.0f;
    codes[i] = static_cast<uint8_t>(static_cast<int>((clamped + kNoFraction) - kNoFraction) << channel.shift);
  }
}

}  // namespace

void Quantize(const QuantizeCall& call) {
  constexpr int64_t kLine = 256;
  for (int64_t begin = 0; begin < call.pixels; begin += kLine) {
    const int64_t count = call.pixels - begin < kLine ? call.pixels - begin : kLine;
    for (int64_t c = 0; c < call.channels; ++c) {
      uint8_t line[kLine];
      QuantizeLine(call.channel[c], call.input + c * call.plane + begin, count, line);
      uint8_t* output = call.output + begin * call.output_pixel_stride + c;
      for (int64_t i = 0; i < count; ++i) output[i * call.output_pixel_stride] = line[i];
    }
  }
}

}  // namespace bitstage::kernels::reference
