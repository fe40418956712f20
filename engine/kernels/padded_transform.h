// PaddedTransform: an output transform whose arrays reach to a whole block of lanes, so that a tile's channels can be
// turned into codes while they are still in registers. Where it writes codes it clamps in another order than
// docs/integer-arithmetic.md §3, to the same bits: rounding never swaps two numbers, so
//     rint(min(max(t, low), high)) = max(rint(min(t, high)), rint(min(low, high))) = max(min(rint(t), rint(high)), …),
// and what is left outside is done to bytes.
#pragma once

#include <cstdint>

#include "engine/kernels/params.h"
#include "engine/kernels/scratch.h"

namespace bitstage::kernels {

// Pointers to `lanes` entries each; those past the channels are 0.
struct PaddedTransform {
  const float* mult;
  const float* add;
  const float* residual_mult;  // or null
  const float* low;            // for floats
  const float* high;
  const uint8_t* low_codes;   // rint(min(low, high)) << shift
  const uint8_t* high_codes;  // rint(high) << shift
  const int32_t* shift;       // or null
  const uint64_t* doublings;  // OutputTransform::doublings
  int doubling_count;         // 0: no shifts
  bool to_float;
  bool within_int32;     // t may be rounded before it is clamped: clamping the codes does the rest
  const int32_t* words;  // OutputTransform::words and what goes with them
  const uint8_t* word_masks;
  int word_shift;
};

// Takes arrays from `scratch` and fills those that `transform` does not have; over a null base the memory is counted
// only, for any transform.
PaddedTransform PadTransform(const OutputTransform& transform, int64_t channels, int64_t lanes, Scratch& scratch);

// `transform` from channel `channel` on; its doublings are right where that is a multiple of 64.
PaddedTransform From(const PaddedTransform& transform, int64_t channel);

// Fills OutputTransform::doublings for `channels` shifts, DivideRoundUp(channels, 64) · kMaxShift entries, and returns
// the largest shift.
int FillDoublings(const uint8_t* shift, int64_t channels, uint64_t* doublings);

}  // namespace bitstage::kernels
