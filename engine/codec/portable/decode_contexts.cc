// Image rows in lockstep, each a column behind the one above it.
#include "engine/codec/portable/context_tables.h"
#include "engine/codec/portable/kernels.h"
#include "engine/codec/portable/lanes.h"

namespace bitstage::codec::portable {
namespace {

template <bool kPairs, int kIndexBits>
class ContextDecoder {
 public:
  ContextDecoder(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, const RowBlock& block,
                 uint8_t* codes)
      : tables_(tables),
        contexts_(tables),
        stream_(tables, stream, lane_at[block.rows]),
        lane_at_(lane_at),
        block_(block),
        codes_(codes),
        columns_(kPairs ? (block.width + 1) / 2 : block.width) {}

  // Rows go through their columns together, each a column behind the row above it.
  bool Run() {
    for (int64_t first = 0; first < block_.rows; first += kTogether) {
      const auto rows = static_cast<int>(std::min<int64_t>(kTogether, block_.rows - first));
      LaneBits lane[kTogether];
      for (int j = 0; j < rows; ++j) lane[j] = {0, lane_at_[first + j]};
      for (int64_t t = 0; t < columns_ + rows - 1; ++t) {
        // Rows begin…end − 1 stand within the image; row j at column t − j.
        const int begin = static_cast<int>(std::max<int64_t>(0, t - columns_ + 1));
        const int end = static_cast<int>(std::min<int64_t>(rows, t + 1));
        const bool inner = end - begin == kTogether && t - (kTogether - 1) > 0 && IsWhole(t) &&
                           (first != 0 || HasAbove(block_, 0)) && SameImage(first);
        if (inner) {
          Inner(first, t, lane);
        } else {
          for (int j = begin; j < end; ++j) {
            if (!Outer(first + j, t - j, lane + j)) return false;
          }
        }
      }
      for (int j = 0; j < rows; ++j) {
        if (lane[j].at != lane_at_[first + j + 1]) return false;
      }
    }
    return true;
  }

 private:
  static constexpr int64_t kPixels = kPairs ? 2 : 1;

  // The column has all its pixels.
  bool IsWhole(int64_t column) const { return kPixels * (column + 1) <= block_.width; }
  // Each of the rows first … first + kTogether − 1 has the one above it.
  bool SameImage(int64_t first) const {
    const int64_t row = (block_.first + first) % block_.height;
    return row != 0 && row + kTogether <= block_.height;
  }
  uint8_t* CodesAt(int64_t row, int64_t column) const {
    return codes_ + (row * block_.width + kPixels * column) * tables_.channels;
  }

  void Inner(int64_t first, int64_t t, LaneBits* lane) {
    uint8_t* codes[kTogether];
    for (int j = 0; j < kTogether; ++j) codes[j] = CodesAt(first + j, t - j);
    const int64_t channels = tables_.channels;
    const int64_t above = block_.width * channels;
    const InnerTables table_of = {contexts_, tables_.decode, tables_.index_bits, channels, above};
    DecodeRow<kTogether, kPairs, kIndexBits>(tables_, stream_, table_of, channels, lane, codes);
  }

  struct InnerTables {
    const ContextTables& contexts;
    const DecodeEntry* decode;
    int index_bits;
    int64_t channels, above;
    const uint8_t* Channel(int64_t c) const { return contexts.OfChannel(c); }
    const DecodeEntry* operator()(const uint8_t* of_channel, const uint8_t* at, int64_t c) const {
      const uint8_t* const up = at + c - above;
      const uint32_t table = contexts.TableOf<kPairs>(of_channel, at[c - channels], up[0], kPairs ? up[channels] : 0);
      return decode + (table << index_bits);
    }
  };
  struct OuterTables {
    const ContextTables& contexts;
    const CellTables& tables;
    const Place& place;
    int Channel(int64_t) const { return 0; }
    const DecodeEntry* operator()(int, const uint8_t* at, int64_t c) const {
      return tables.decode + (TableAt<kPairs>(contexts, place, tables.channels, at, c) << tables.index_bits);
    }
  };

  // False where a second symbol is not 0 that must be.
  bool Outer(int64_t row, int64_t column, LaneBits* lane) {
    const int64_t channels = tables_.channels;
    const bool is_whole = IsWhole(column);
    const Place place = {column > 0 ? channels : 0, HasAbove(block_, row) ? block_.width * channels : 0, is_whole};
    uint8_t* codes = CodesAt(row, column);
    const OuterTables table_of = {contexts_, tables_, place};
    const uint8_t seconds =
        DecodeRow<1, kPairs, kIndexBits>(tables_, stream_, table_of, is_whole ? channels : 0, lane, &codes);
    return is_whole || seconds == 0;
  }

  const CellTables& tables_;
  const ContextTables contexts_;
  const Stream stream_;
  const int64_t* lane_at_;
  const RowBlock& block_;
  uint8_t* const codes_;
  const int64_t columns_;
};

}  // namespace

bool DecodeContexts(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, const RowBlock& block,
                    uint8_t* codes) {
  if (tables.index_bits <= 8) {
    return tables.pairs ? ContextDecoder<true, 8>(tables, stream, lane_at, block, codes).Run()
                        : ContextDecoder<false, 8>(tables, stream, lane_at, block, codes).Run();
  }
  return tables.pairs ? ContextDecoder<true, 11>(tables, stream, lane_at, block, codes).Run()
                      : ContextDecoder<false, 11>(tables, stream, lane_at, block, codes).Run();
}

}  // namespace bitstage::codec::portable
