// Several lanes in lockstep, their bits in registers. In an unnamed namespace, as cells.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec::portable {
namespace {

static_assert(std::endian::native == std::endian::little);

// Lanes decoded together: their chains of dependent loads overlap.
inline constexpr int kTogether = 4;
// Bits in a register after a refill, at least. The one on top marks how many were used: it moves down with them.
inline constexpr int kRefilled = 56;
inline constexpr uint64_t kMark = uint64_t{1} << 63;

// The bits of one lane. `at` counts from the stream's first bit.
struct LaneBits {
  uint64_t word;
  int64_t at;
};

// Refill for a stream that has eight bytes from `at` on.
struct FastRefill {
  const uint8_t* stream;
  static constexpr int kBits = kRefilled;
  void operator()(LaneBits& lane) const {
    std::memcpy(&lane.word, stream + (lane.at >> 3), 8);
    lane.word = lane.word >> (lane.at & 7) | kMark;
  }
};
// Refill anywhere, a lane beyond the end of the stream included: reads the last eight bytes that may be read. In front
// of the end at least 33 bits are true ones.
struct CarefulRefill {
  const uint8_t* stream;
  int64_t last_byte;  // of the stream's readable eight
  static constexpr int kBits = 33;
  void operator()(LaneBits& lane) const {
    const int64_t byte = std::min(lane.at >> 3, last_byte);
    std::memcpy(&lane.word, stream + byte, 8);
    lane.word = lane.word >> ((lane.at - 8 * byte) & 63) | kMark;
  }
};

inline uint32_t EntryAt(const DecodeEntry* entry) {
  uint32_t word = 0;
  std::memcpy(&word, entry, 4);
  return word;
}

// One row of cells in each of kLanes lanes. codes[j]: the row's first pixel in lane j. table_of(table_of.Channel(c),
// codes, c): the first entry of the table of channel c's cell. The second pixel's codes go `second` bytes behind the
// first's; the result is the OR of all of them (without pairs: 0).
template <int kLanes, bool kPairs, int kIndexBits, typename Refill, typename TableOf>
inline uint8_t DecodeRow(const CellTables& tables, const Refill& refill, const TableOf& table_of, int64_t second,
                         LaneBits* lanes, uint8_t* const* row_codes) {
  constexpr int kCells = Refill::kBits / kIndexBits;
  const int64_t channels = tables.channels;
  const uint32_t mask = (1u << (kIndexBits == 8 ? 8 : tables.index_bits)) - 1;
  LaneBits lane[kLanes];
  uint8_t* codes[kLanes];
  for (int j = 0; j < kLanes; ++j) {
    lane[j] = lanes[j];
    codes[j] = row_codes[j];
  }
  uint32_t seconds = 0;
  for (int64_t c = 0; c < channels; c += kCells) {
    for (int j = 0; j < kLanes; ++j) refill(lane[j]);
    const auto step = [&](int64_t i) {
      const auto table = table_of.Channel(i);
      for (int j = 0; j < kLanes; ++j) {
        const uint32_t entry = EntryAt(table_of(table, codes[j], i) + (lane[j].word & mask));
        lane[j].word >>= entry & 63;
        if constexpr (kPairs) {
          if (kLanes == 1) seconds |= entry;
          codes[j][i + second] = static_cast<uint8_t>(entry >> 16);
        }
        codes[j][i] = static_cast<uint8_t>(entry >> 8);
      }
    };
    if (c + kCells <= channels) {
#pragma GCC unroll 8
      for (int i = 0; i < kCells; ++i) step(c + i);
    } else {
      for (int64_t i = c; i < channels; ++i) step(i);
    }
    for (int j = 0; j < kLanes; ++j) lane[j].at += std::countl_zero(lane[j].word);
  }
  for (int j = 0; j < kLanes; ++j) lanes[j] = lane[j];
  return static_cast<uint8_t>(seconds >> 16);
}

// What a stream's end allows.
class Stream {
 public:
  Stream(const CellTables& tables, const uint8_t* bytes, int64_t end)
      : bytes_(bytes), last_byte_((end + 7) / 8 + 4 - 8), row_bits_(tables.channels * tables.index_bits) {}

  // True if a row of cells can be read from there without care.
  [[nodiscard]] bool IsFast(const LaneBits& lane) const { return (lane.at + row_bits_) / 8 <= last_byte_; }
  [[nodiscard]] FastRefill Fast() const { return {bytes_}; }
  [[nodiscard]] CarefulRefill Careful() const { return {bytes_, last_byte_}; }

 private:
  const uint8_t* bytes_;
  int64_t last_byte_;
  int64_t row_bits_;
};

template <int kLanes, bool kPairs, int kIndexBits, typename TableOf>
inline uint8_t DecodeRow(const CellTables& tables, const Stream& stream, const TableOf& table_of, int64_t second,
                         LaneBits* lanes, uint8_t* const* codes) {
  bool is_fast = true;
  for (int j = 0; j < kLanes; ++j) is_fast = is_fast && stream.IsFast(lanes[j]);
  return is_fast ? DecodeRow<kLanes, kPairs, kIndexBits>(tables, stream.Fast(), table_of, second, lanes, codes)
                 : DecodeRow<kLanes, kPairs, kIndexBits>(tables, stream.Careful(), table_of, second, lanes, codes);
}

}  // namespace
}  // namespace bitstage::codec::portable
