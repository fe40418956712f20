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
  auto* const high_codes = scratch.Take<uint8_t>(lanes);
  auto* const doublings = scratch.Take<uint64_t>(lanes / 64 * kMaxShift);
  if (mult == nullptr) return {};
  PaddedTransform padded = {.mult = transform.mult,
                            .add = transform.add,
                            .residual_mult = transform.residual_mult,
                            .low = transform.low,
                            .high = transform.high,
                            .low_codes = transform.low_codes,
                            .high_codes = transform.high_codes,
                            .shift = transform.shift == nullptr ? nullptr : shift,
                            .doublings = transform.doublings,
                            .doubling_count = transform.doubling_count,
                            .to_float = transform.to_float,
                            .within_int32 = transform.within_int32,
                            .words = transform.words,
                            .word_masks = transform.word_masks,
                            .word_shift = transform.word_shift};
  if (transform.shift != nullptr) std::fill(std::copy_n(transform.shift, channels, shift), shift + lanes, 0);
  if (transform.shift != nullptr && transform.doublings == nullptr) {
    padded.doublings = doublings;
    padded.doubling_count = FillDoublings(transform.shift, channels, doublings);
  }
  if (transform.lanes >= lanes) return padded;
  const auto pad = [&](const float*& from, float* to) {
    if (from == nullptr) return;
    std::fill(std::copy_n(from, channels, to), to + lanes, 0.0f);
    from = to;
  };
  pad(padded.mult, mult);
  pad(padded.add, add);
  pad(padded.residual_mult, residual_mult);
  pad(padded.low, low);
  pad(padded.high, high);
  padded.low_codes = low_codes;
  padded.high_codes = high_codes;
  if (transform.to_float) return padded;
  std::fill_n(low_codes, lanes, uint8_t{0});
  std::fill_n(high_codes, lanes, uint8_t{0});
  for (int64_t c = 0; c < channels; ++c) {
    const int by = transform.shift == nullptr ? 0 : transform.shift[c];
    low_codes[c] = static_cast<uint8_t>(Rounded(std::min(low[c], high[c])) << by);
    high_codes[c] = static_cast<uint8_t>(Rounded(high[c]) << by);
  }
  return padded;
}

PaddedTransform From(const PaddedTransform& transform, int64_t channel) {
  PaddedTransform from = transform;
  if (from.words != nullptr) {
    from.words += channel;
    from.word_masks += channel;
    from.high_codes += channel;
    return from;
  }
  from.mult += channel;
  from.add += channel;
  if (from.residual_mult != nullptr) from.residual_mult += channel;
  from.low += channel;
  from.high += channel;
  if (from.low_codes != nullptr) from.low_codes += channel;
  if (from.high_codes != nullptr) from.high_codes += channel;
  if (from.shift != nullptr) from.shift += channel;
  if (from.doublings != nullptr) from.doublings += channel / 64 * kMaxShift;
  return from;
}

int FillDoublings(const uint8_t* shift, int64_t channels, uint64_t* doublings) {
  std::fill_n(doublings, (channels + 63) / 64 * kMaxShift, uint64_t{0});
  int largest = 0;
  for (int64_t c = 0; c < channels; ++c) {
    largest = std::max<int>(largest, shift[c]);
    for (int k = 0; k < shift[c]; ++k) doublings[c / 64 * kMaxShift + k] |= uint64_t{1} << c % 64;
  }
  return largest;
}

}  // namespace bitstage::kernels
