#include "engine/codec/portable/cells.h"
#include "engine/codec/portable/context_tables.h"
#include "engine/codec/portable/kernels.h"

namespace bitstage::codec::portable {
namespace {

template <bool kPairs>
bool EncodeContextsOf(const CellTables& tables, const uint8_t* codes, const RowBlock& block, const uint8_t* limit,
                      BitSink* sink_inout, uint32_t* lane_bits) {
  constexpr int64_t kPixels = kPairs ? 2 : 1;
  BitSink sink = *sink_inout;
  const uint8_t* const begin = sink.at;
  const int64_t channels = tables.channels;
  const ContextTables contexts(tables);
  const CellsOf<kPairs, true> cell_of(tables);
  const CellsOf<false, true> single_of(tables);
  int64_t row_begin = sink.count;
  for (int64_t row = 0; row < block.rows; ++row) {
    Place place = {0, HasAbove(block, row) ? block.width * channels : 0, true};
    for (int64_t x = 0; x < block.width; x += kPixels, codes += kPixels * channels) {
      const bool is_whole = x + kPixels <= block.width;
      place.has_right = is_whole;
      const auto code_of = [&](int64_t c, uint32_t table) {
        const uint32_t cell = is_whole ? cell_of(codes, codes + channels, c) : single_of(codes, nullptr, c);
        return tables.encode[table << tables.stride_bits | cell];
      };
      if (place.left != 0 && place.above != 0 && is_whole) {
        const uint8_t* const left = codes - channels;
        const uint8_t* const above = codes - place.above;
        EncodeRow(
            channels,
            [&](int64_t c) {
              const uint32_t table =
                  contexts.TableOf<kPairs>(contexts.OfChannel(c), left[c], above[c], kPairs ? above[c + channels] : 0);
              return tables.encode[table << tables.stride_bits | cell_of(codes, codes + channels, c)];
            },
            sink);
      } else {
        EncodeRow(
            channels, [&](int64_t c) { return code_of(c, TableAt<kPairs>(contexts, place, channels, codes, c)); },
            sink);
      }
      if (sink.at > limit) return false;
      place.left = channels;
      if (!is_whole) codes -= channels;
    }
    const int64_t end = BitsBehind(begin, sink);
    lane_bits[row] = static_cast<uint32_t>(end - row_begin);
    row_begin = end;
  }
  *sink_inout = sink;
  return true;
}

}  // namespace

bool EncodeContexts(const CellTables& tables, const uint8_t* codes, const RowBlock& block, const uint8_t* limit,
                    BitSink* sink, uint32_t* lane_bits) {
  const auto encode = tables.pairs ? EncodeContextsOf<true> : EncodeContextsOf<false>;
  return encode(tables, codes, block, limit, sink, lane_bits);
}

}  // namespace bitstage::codec::portable
