// The AVX2 tier's inner loops, where they are faster than the portable ones: each a member of CellKernels by its name.
// These files are compiled for that tier alone.
#pragma once

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec::avx2 {

bool DecodePlain(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                 int64_t lane_rows, int64_t pixels, uint8_t* codes);

}  // namespace bitstage::codec::avx2
