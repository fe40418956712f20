// Cells to codes, one after the other into a BitSink. In an unnamed namespace: files of several tiers include this, and
// no linker may keep one's functions for all.
#pragma once

#include <bit>
#include <cstring>

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec::portable {
namespace {

static_assert(std::endian::native == std::endian::little);

// Cells of one row as symbols side by side; a, b: the codes of its pixels, b null where there is none.
template <bool kPairs, bool kUniform>
struct CellsOf {
  explicit CellsOf(const CellTables& tables)
      : bits_of(tables.bits_of), shift_of(tables.shift_of), bits(tables.bits_of[0]), shift(tables.shift_of[0]) {}

  uint32_t operator()(const uint8_t* a, const uint8_t* b, int64_t c) const {
    const int s = kUniform ? shift : shift_of[c];
    if constexpr (!kPairs) return static_cast<uint32_t>(a[c]) >> s;
    return static_cast<uint32_t>(a[c]) >> s | static_cast<uint32_t>(b[c]) >> s << (kUniform ? bits : bits_of[c]);
  }

  const uint8_t* bits_of;
  const uint8_t* shift_of;
  int bits, shift;
};

[[maybe_unused]] inline uint64_t Word(const uint8_t* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// Eight codes of neighbouring channels at once, where all channels look alike.
class EightCodes {
 public:
  explicit EightCodes(const CellTables& tables)
      : bits_(tables.bits_of[0]), shift_(tables.shift_of[0]), mask_(0x0101010101010101u * ((1u << bits_) - 1)) {}

  // A symbol a byte.
  uint64_t Symbols(const uint8_t* codes) const { return Word(codes) >> shift_ & mask_; }
  // Four pairs of neighbours, each a | b << bits in 16 bits.
  uint64_t Neighbours(const uint8_t* codes) const {
    constexpr uint64_t kFirst = 0x00ff00ff00ff00ffu;
    const uint64_t eight = Symbols(codes);
    return (eight & kFirst) | (eight & ~kFirst) >> (8 - bits_);
  }
  // A cell of a pair a byte.
  uint64_t Cells(const uint8_t* first, const uint8_t* second) const {
    return Symbols(first) | Symbols(second) << bits_;
  }
  // One cell; second may be null.
  uint32_t Cell(const uint8_t* first, const uint8_t* second) const {
    return static_cast<uint32_t>(*first) >> shift_ |
           (second != nullptr ? static_cast<uint32_t>(*second) >> shift_ << bits_ : 0);
  }

 private:
  int bits_, shift_;
  uint64_t mask_;
};

// Up to four codes put together.
struct Merged {
  uint64_t bits;
  int length;
};
[[maybe_unused]] inline Merged operator+(Merged a, Merged b) {
  return {a.bits | b.bits << a.length, a.length + b.length};
}
[[maybe_unused]] inline Merged CodeOf(EncodeEntry entry) { return {entry.bits, entry.length}; }

// code.length <= 56.
[[maybe_unused]] inline void Append(Merged code, BitSink& sink) {
  sink.bits |= code.bits << sink.count;
  sink.count += code.length;
  std::memcpy(sink.at, &sink.bits, 8);
  sink.at += sink.count >> 3;
  sink.bits >>= sink.count & ~7;
  sink.count &= 7;
}

// entry_of(c): the entry of the cell of channel c.
template <typename EntryOf>
inline void EncodeRow(int64_t channels, const EntryOf& entry_of, BitSink& sink) {
  int64_t c = 0;
  for (; c + 4 <= channels; c += 4) {
    Append((CodeOf(entry_of(c)) + CodeOf(entry_of(c + 1))) + (CodeOf(entry_of(c + 2)) + CodeOf(entry_of(c + 3))), sink);
  }
  for (; c < channels; ++c) Append(CodeOf(entry_of(c)), sink);
}

[[maybe_unused]] inline int64_t BitsBehind(const uint8_t* begin, const BitSink& sink) {
  return 8 * (sink.at - begin) + sink.count;
}

}  // namespace
}  // namespace bitstage::codec::portable
