// Words: from accumulators to codes in 16 bits, with half the instructions of the way through floats and to the same
// codes, which is proven channel by channel before it is used. With a layer's weights and acc_init multiplied by
// `scale`, and `offset[o]` added to acc_init[o], a channel's accumulator is A = scale · acc + offset, and
//
//     code = min(min(min(max(A, 0), 2^16 − 1) · multiply[o] >> (16 + shift), 255) & mask[o], high_codes[o])
//
// which pack instructions that saturate, a multiplication's upper half and a shift compute. mask clears the bits that
// the transform's shift leaves 0.
//
// Why that can be exact: both ways never fall while acc rises, so they are the same where each code begins at the same
// acc. The transform's code k begins at some T_k; here it begins at the least A that is no less than
// X_k = ceil(k · 2^(16 + shift) / multiply). These are equal if, for each k that an accumulator of the layer can reach,
//     scale · (T_k − 1) + offset < X_k <= scale · T_k + offset
// which is a window as wide as the scale.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/kernels/params.h"

namespace bitstage::kernels {

// What a channel's accumulators may be, acc_init included; least <= most.
struct AccumulatorRange {
  int32_t least, most;
};

struct Words {
  int scale;                      // from 1 on
  int shift;                      // of all channels, 0 … 15
  std::vector<int32_t> multiply;  // an entry a channel, below 2^16
  std::vector<int32_t> offset;    // likewise; no scale · acc + offset reaches 2^28 either way
};

// Words of `transform`, to codes and without a residual, for accumulators within `ranges` (an entry a channel) and
// scales up to `max_scale`; nothing where there are none, or none were found.
std::optional<Words> FindWords(const OutputTransform& transform, std::span<const AccumulatorRange> ranges,
                               int max_scale);

}  // namespace bitstage::kernels
