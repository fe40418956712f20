#include <cmath>

#include "engine/kernels/reference/reference.h"

namespace bitstage::kernels::reference {

float Scaled(const OutputTransform& transform, int64_t channel, int32_t acc) {
  return std::fma(static_cast<float>(acc), transform.mult[channel], transform.add[channel]);
}

// The order of the comparisons decides the sign of a zero: t stays where it equals a limit.
float Clamp(const OutputTransform& transform, int64_t channel, float t) {
  const float low = transform.low[channel];
  const float high = transform.high[channel];
  const float raised = t < low ? low : t;
  return high < raised ? high : raised;
}

uint8_t Code(const OutputTransform& transform, int64_t channel, float t) {
  const int symbol = static_cast<int>(std::nearbyint(Clamp(transform, channel, t)));
  return static_cast<uint8_t>(transform.shift == nullptr ? symbol : symbol << transform.shift[channel]);
}

void TransformPixel(const OutputTransform& transform, int64_t channel_begin, int64_t channels, const int32_t* acc,
                    const uint8_t* residual, void* output) {
  for (int64_t i = 0; i < channels; ++i) {
    const int64_t c = channel_begin + i;
    float t = Scaled(transform, c, acc[i]);
    if (residual != nullptr) t = std::fma(static_cast<float>(residual[c]), transform.residual_mult[c], t);
    if (transform.to_float) {
      static_cast<float*>(output)[c] = Clamp(transform, c, t);
    } else {
      static_cast<uint8_t*>(output)[c] = Code(transform, c, t);
    }
  }
}

}  // namespace bitstage::kernels::reference
