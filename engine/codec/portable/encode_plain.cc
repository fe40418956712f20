// Plain C++ that compilers turn into good code for any CPU: checking, counting
// and encoding.
#include <algorithm>

#include "engine/codec/portable/cells.h"
#include "engine/codec/portable/kernels.h"

namespace bitstage::codec::portable {
namespace {

template <bool kPairs, bool kUniform>
bool EncodePlainOf(const CellTables& tables, const uint8_t* codes, int64_t pixels, int64_t lane_rows,
                   const uint8_t* limit, BitSink* sink_inout, uint32_t* lane_bits) {
  BitSink sink = *sink_inout;
  const uint8_t* const begin = sink.at;
  const int64_t channels = tables.channels;
  const CellsOf<kPairs, kUniform> cell_of(tables);
  const CellsOf<false, kUniform> single_of(tables);
  const int64_t rows = kPairs ? (pixels + 1) / 2 : pixels;
  int64_t lane_begin = sink.count;
  for (int64_t row = 0; row < rows;) {
    const int64_t lane_end = std::min(row + lane_rows, rows);
    for (; row < lane_end; ++row, codes += (kPairs ? 2 : 1) * channels) {
      const EncodeEntry* const encode = tables.encode;
      if (kPairs && 2 * row + 1 == pixels) {
        EncodeRow(
            channels,
            [&](int64_t c) { return encode[tables.group_of[c] << tables.stride_bits | single_of(codes, nullptr, c)]; },
            sink);
      } else {
        EncodeRow(
            channels,
            [&](int64_t c) {
              return encode[tables.group_of[c] << tables.stride_bits | cell_of(codes, codes + channels, c)];
            },
            sink);
      }
      if (sink.at > limit) return false;
    }
    const int64_t end = BitsBehind(begin, sink);
    *lane_bits++ = static_cast<uint32_t>(end - lane_begin);
    lane_begin = end;
  }
  *sink_inout = sink;
  return true;
}

// Eight codes of single symbols as four pairs, each the low 2 · bits of a word
// of 16.
class PairsOfEight {
 public:
  explicit PairsOfEight(const CellTables& tables)
      : bits_(tables.bits_of[0]), shift_(tables.shift_of[0]), mask_(0x0101010101010101u * ((1u << bits_) - 1)) {}
  uint64_t operator()(const uint8_t* codes) const {
    uint64_t eight = 0;
    std::memcpy(&eight, codes, sizeof(eight));
    eight = eight >> shift_ & mask_;
    constexpr uint64_t kFirst = 0x00ff00ff00ff00ffu;
    return (eight & kFirst) | (eight & ~kFirst) >> (8 - bits_);
  }
  [[nodiscard]] uint32_t mask() const { return (1u << (2 * bits_)) - 1; }

 private:
  int bits_, shift_;
  uint64_t mask_;
};

// Single symbols by one table, two a look-up.
bool EncodeByTwo(const CellTables& tables, const uint8_t* codes, int64_t pixels, int64_t lane_rows,
                 const uint8_t* limit, BitSink* sink_inout, uint32_t* lane_bits) {
  constexpr int64_t kBlock = 32;  // codes between two looks at the limit
  BitSink sink = *sink_inout;
  const uint8_t* const begin = sink.at;
  const PairsOfEight pairs_of(tables);
  const uint32_t mask = pairs_of.mask();
  const uint32_t* const two = tables.encode_two;
  const int shift = tables.shift_of[0];
  const auto code_of = [&](uint64_t pair) {
    const uint32_t entry = two[pair & mask];
    return Merged{entry & 0xffffff, static_cast<int>(entry >> 24)};
  };
  int64_t lane_begin = sink.count;
  for (int64_t row = 0; row < pixels; row += lane_rows) {
    const uint8_t* const end = codes + std::min(lane_rows, pixels - row) * tables.channels;
    for (; end - codes >= kBlock; codes += kBlock) {
      for (int i = 0; i < kBlock; i += 8) {
        const uint64_t pairs = pairs_of(codes + i);
        Append(code_of(pairs) + code_of(pairs >> 16), sink);
        Append(code_of(pairs >> 32) + code_of(pairs >> 48), sink);
      }
      if (sink.at > limit) return false;
    }
    for (; codes < end; ++codes) Append(CodeOf(tables.encode[*codes >> shift]), sink);
    if (sink.at > limit) return false;
    const int64_t at = BitsBehind(begin, sink);
    *lane_bits++ = static_cast<uint32_t>(at - lane_begin);
    lane_begin = at;
  }
  *sink_inout = sink;
  return true;
}

template <bool kPairs, bool kUniform>
void CountCells(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts) {
  const int64_t channels = tables.channels;
  const CellsOf<kPairs, kUniform> cell_of(tables);
  const CellsOf<false, kUniform> single_of(tables);
  // Neighbours are often equal: each of four has a place of its own to count
  // in, or it would wait for the last one's addition.
  constexpr size_t kPlaces = 4;
  const size_t cells = static_cast<size_t>(tables.tables) << tables.stride_bits;
  uint32_t few[kPlaces][kMaxCellsPerTable];
  const bool spread = cells <= kMaxCellsPerTable;
  uint32_t* place[kPlaces];
  for (size_t k = 0; k < kPlaces; ++k) {
    place[k] = spread ? few[k] : counts;
    if (spread) std::fill_n(few[k], cells, 0);
  }
  const auto row = [&](const auto& cell) {
    const auto add = [&](int64_t c, size_t k) {
      ++place[k][tables.group_of[c] << tables.stride_bits | cell(codes, codes + channels, c)];
    };
    int64_t c = 0;
    for (; c + 4 <= channels; c += 4) {
      for (size_t k = 0; k < kPlaces; ++k) add(c + static_cast<int64_t>(k), k);
    }
    for (; c < channels; ++c) add(c, 0);
  };
  int64_t pixel = 0;
  for (; pixel + (kPairs ? 2 : 1) <= pixels; pixel += kPairs ? 2 : 1) {
    row(cell_of);
    codes += (kPairs ? 2 : 1) * channels;
  }
  if (pixel < pixels) row(single_of);
  for (size_t k = 0; spread && k < kPlaces; ++k) {
    for (size_t cell = 0; cell < cells; ++cell) counts[cell] += few[k][cell];
  }
}

// Counts pairs of codes in four places, then each pair's two symbols.
void CountByTwo(const CellTables& tables, const uint8_t* codes, int64_t count, uint32_t* counts) {
  const PairsOfEight pairs_of(tables);
  const uint32_t mask = pairs_of.mask();
  uint32_t of_pair[4][1 << (2 * kMaxBitsOfTwo)];
  for (uint32_t* const place : of_pair) std::fill_n(place, mask + 1, 0);
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    const uint64_t pairs = pairs_of(codes + i);
    for (int k = 0; k < 4; ++k) ++of_pair[k][pairs >> (16 * k) & mask];
  }
  const int bits = tables.bits_of[0];
  for (uint32_t pair = 0; pair <= mask; ++pair) {
    const uint32_t all = of_pair[0][pair] + of_pair[1][pair] + of_pair[2][pair] + of_pair[3][pair];
    counts[pair & ((1u << bits) - 1)] += all;
    counts[pair >> bits] += all;
  }
  for (; i < count; ++i) ++counts[codes[i] >> tables.shift_of[0]];
}

}  // namespace

uint8_t OffGrid(const CellTables& tables, const uint8_t* codes, int64_t pixels) {
  uint8_t off = 0;
  const int64_t count = pixels * tables.channels;
  if (tables.uniform) {
    for (int64_t i = 0; i < count; ++i) off |= codes[i];
    return off & tables.off_mask[0];
  }
  for (int64_t i = 0; i < count; i += tables.channels) {
    for (int64_t c = 0; c < tables.channels; ++c) off |= codes[i + c] & tables.off_mask[c];
  }
  return off;
}

bool EncodePlain(const CellTables& tables, const uint8_t* codes, int64_t pixels, int64_t lane_rows,
                 const uint8_t* limit, BitSink* sink, uint32_t* lane_bits) {
  if (tables.encode_two != nullptr) {
    return EncodeByTwo(tables, codes, pixels, lane_rows, limit, sink, lane_bits);
  }
  const auto encode = tables.pairs ? (tables.uniform ? EncodePlainOf<true, true> : EncodePlainOf<true, false>)
                                   : (tables.uniform ? EncodePlainOf<false, true> : EncodePlainOf<false, false>);
  return encode(tables, codes, pixels, lane_rows, limit, sink, lane_bits);
}

void Count(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts) {
  if (tables.tables == 1 && tables.uniform && !tables.pairs && tables.bits_of[0] <= kMaxBitsOfTwo) {
    CountByTwo(tables, codes, pixels * tables.channels, counts);
    return;
  }
  const auto count = tables.pairs ? (tables.uniform ? CountCells<true, true> : CountCells<true, false>)
                                  : (tables.uniform ? CountCells<false, true> : CountCells<false, false>);
  count(tables, codes, pixels, counts);
}

}  // namespace bitstage::codec::portable
