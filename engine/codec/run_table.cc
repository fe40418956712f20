#include "engine/codec/run_table.h"

namespace bitstage::codec {

void FillRuns(const DecodeEntry* decode, int index_bits, uint64_t* runs) {
  const uint32_t mask = (1u << index_bits) - 1;
  for (uint32_t i = 0; i < 1u << kRunBits; ++i) {
    uint64_t symbols = 0;
    uint64_t bits = 0;
    uint64_t number = 0;
    for (; number < kMaxRun; ++number) {
      const DecodeEntry entry = decode[(i >> bits) & mask];
      if (bits + entry.length > kRunBits) break;
      symbols |= uint64_t{entry.first} << (8 * number);
      bits += entry.length;
    }
    runs[i] = bits | symbols << 8 | number << 56;
  }
}

}  // namespace bitstage::codec
