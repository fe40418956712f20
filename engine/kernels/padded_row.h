// PaddedRow: one row of an input with its padding, pixels without gaps.
#pragma once

#include <cstdint>

#include "engine/kernels/params.h"

namespace bitstage::kernels {

// Row in_y of the input, which may lie outside, from column −pad_left on: `width` pixels of all channels.
void CopyPaddedRow(const ConvShape& shape, const ConvCall& call, int64_t in_y, int64_t width, uint8_t* to);

}  // namespace bitstage::kernels
