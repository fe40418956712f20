// Plain C++ that compilers turn into good code for any CPU: checking, counting and encoding.
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
  const auto encode = tables.pairs ? (tables.uniform ? EncodePlainOf<true, true> : EncodePlainOf<true, false>)
                                   : (tables.uniform ? EncodePlainOf<false, true> : EncodePlainOf<false, false>);
  return encode(tables, codes, pixels, lane_rows, limit, sink, lane_bits);
}

void Count(const CellTables& tables, const uint8_t* codes, int64_t pixels, uint32_t* counts) {
  const CellsOf<true, false> pair_of(tables);
  const CellsOf<false, false> single_of(tables);
  const int64_t channels = tables.channels;
  for (int64_t pixel = 0; pixel < pixels; ++pixel, codes += channels) {
    const bool is_pair = tables.pairs && pixel + 1 < pixels;
    for (int64_t c = 0; c < channels; ++c) {
      const uint32_t cell = is_pair ? pair_of(codes, codes + channels, c) : single_of(codes, nullptr, c);
      ++counts[tables.group_of[c] << tables.stride_bits | cell];
    }
    if (is_pair) {
      ++pixel;
      codes += channels;
    }
  }
}

}  // namespace bitstage::codec::portable
