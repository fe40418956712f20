// Single symbols by one table, several a look-up: the fastest way without byte permutes over 512 bits.
#pragma once

#include <cstdint>

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec::portable {

inline constexpr int kRunBits = 11;  // of an index into runs
inline constexpr int kMaxRun = 4;

// runs[next kRunBits bits] is what they begin with, as many whole codes as there are, at most kMaxRun: their symbols in
// bytes 0 to 3, their bits in byte 4, their number in byte 5. `decode` as in CellTables, of a table without pairs.
void FillRuns(const DecodeEntry* decode, int index_bits, uint64_t* runs);

// CellKernels::decode_plain for tables with runs.
bool DecodeRuns(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                int64_t lane_rows, int64_t pixels, uint8_t* codes);

}  // namespace bitstage::codec::portable
