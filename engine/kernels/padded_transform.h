// PaddedTransform: an output transform whose arrays reach to a whole block of lanes, so that a tile's channels can be
// turned into codes while they are still in registers. Where it writes codes it clamps in another order than
// docs/integer-arithmetic.md §3, to the same bits: rounding never swaps two numbers, so
//     rint(min(max(t, low), high)) = max(rint(min(t, high)), rint(min(low, high))),
// and the outer maximum is one of bytes.
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
  const uint8_t* low_codes;  // rint(min(low, high)) << shift
  const int32_t* shift;      // or null
  bool to_float;
};

// Takes the arrays from `scratch` and fills them; over a null base the memory is counted only, for any transform.
PaddedTransform PadTransform(const OutputTransform& transform, int64_t channels, int64_t lanes, Scratch& scratch);

}  // namespace bitstage::kernels
