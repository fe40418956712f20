// Run tables: what the next bits of a stream mean, several symbols at once. For tables of single symbols.
#pragma once

#include <cstdint>

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec {

inline constexpr int kRunBits = 11;  // of an index into runs
inline constexpr int kMaxRun = 4;

// runs[next kRunBits bits] is what they begin with, as many whole codes as there are, at most kMaxRun: their bits in
// byte 0, their symbols in bytes 1 to 4, their number in byte 7. `decode` as in CellTables, of a table without pairs.
void FillRuns(const DecodeEntry* decode, int index_bits, uint64_t* runs);

}  // namespace bitstage::codec
