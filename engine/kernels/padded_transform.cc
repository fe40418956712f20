#include "engine/kernels/padded_transform.h"

#include <algorithm>

namespace bitstage::kernels {
namespace {

// For 0 … 255, half to even.
int32_t Rounded(float x) {
  constexpr float kNoFraction = 12582912.0f;  // 1.5 · 2^23
  return static_cast<int32_t>((x + kNoFraction) - kNoFraction);
}

}  // namespace

PaddedTransform PadTransform(const OutputTransform& transform, int64_t channels, int64_t lanes, Scratch& scratch) {
  auto* const mult = scratch.Take<float>(lanes);
  auto* const add = scratch.Take<float>(lanes);
  auto* const residual_mult = scratch.Take<float>(lanes);
  auto* const low = scratch.Take<float>(lanes);
  auto* const high = scratch.Take<float>(lanes);
  auto* const shift = scratch.Take<int32_t>(lanes);
  auto* const low_codes = scratch.Take<uint8_t>(lanes);
  if (mult == nullptr) return {};
  const auto pad = [&](const float* from, float* to) { std::fill(std::copy_n(from, channels, to), to + lanes, 0.0f); };
  pad(transform.mult, mult);
  pad(transform.add, add);
  pad(transform.low, low);
  pad(transform.high, high);
  if (transform.residual_mult != nullptr) pad(transform.residual_mult, residual_mult);
  if (transform.shift != nullptr) std::fill(std::copy_n(transform.shift, channels, shift), shift + lanes, 0);
  if (!transform.to_float) {
    for (int64_t c = 0; c < channels; ++c) {
      const int32_t symbol = Rounded(std::min(low[c], high[c]));
      low_codes[c] = static_cast<uint8_t>(transform.shift == nullptr ? symbol : symbol << transform.shift[c]);
    }
    std::fill(low_codes + channels, low_codes + lanes, uint8_t{0});
  }
  return {.mult = mult,
          .add = add,
          .residual_mult = transform.residual_mult == nullptr ? nullptr : residual_mult,
          .low = low,
          .high = high,
          .low_codes = low_codes,
          .shift = transform.shift == nullptr ? nullptr : shift,
          .to_float = transform.to_float};
}

}  // namespace bitstage::kernels
