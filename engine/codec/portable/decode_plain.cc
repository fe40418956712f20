// Several lanes in lockstep, a cell a look-up.
#include "engine/codec/portable/kernels.h"
#include "engine/codec/portable/lanes.h"

namespace bitstage::codec::portable {
namespace {

template <bool kPairs, int kIndexBits>
class PlainDecoder {
 public:
  PlainDecoder(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
               int64_t lane_rows, int64_t pixels, uint8_t* codes)
      : tables_(tables),
        stream_(tables, stream, lane_at[lanes]),
        lane_at_(lane_at),
        lanes_(lanes),
        lane_rows_(lane_rows),
        rows_(kPairs ? (pixels + 1) / 2 : pixels),
        is_odd_(kPairs && pixels % 2 != 0),
        codes_(codes) {}

  bool Run() {
    int64_t lane = 0;
    for (; lane + kTogether <= lanes_; lane += kTogether) {
      if (!Lanes<kTogether>(lane)) return false;
    }
    switch (lanes_ - lane) {
      case 3: return Lanes<3>(lane);
      case 2: return Lanes<2>(lane);
      case 1: return Lanes<1>(lane);
      default: return true;
    }
  }

 private:
  static constexpr int64_t kPixels = kPairs ? 2 : 1;

  template <int kLanes>
  bool Lanes(int64_t first) {
    LaneBits lane[kLanes];
    uint8_t* codes[kLanes];
    for (int j = 0; j < kLanes; ++j) {
      lane[j] = {0, lane_at_[first + j]};
      codes[j] = codes_ + (first + j) * lane_rows_ * kPixels * tables_.channels;
    }
    // The last lane may be shorter, and its last row may lack second pixels.
    const int64_t last_rows = std::min(lane_rows_, rows_ - (first + kLanes - 1) * lane_rows_);
    const bool has_odd = is_odd_ && first + kLanes == lanes_;
    const int64_t together = last_rows - (has_odd ? 1 : 0);
    for (int64_t row = 0; row < together; ++row) Row<kLanes>(lane, codes);
    for (int j = 0; j < kLanes; ++j) {
      const bool is_last = j == kLanes - 1;
      if (!is_last) {
        for (int64_t row = together; row < lane_rows_; ++row) Row<1>(lane + j, codes + j);
      } else if (has_odd && OddRow(lane + j, codes + j) != 0) {
        return false;
      }
      if (lane[j].at != lane_at_[first + j + 1]) return false;
    }
    return true;
  }

  template <int kLanes>
  void Row(LaneBits* lane, uint8_t** codes) {
    DecodeRow<kLanes, kPairs, kIndexBits>(tables_, stream_, table_of_, tables_.channels, lane, codes);
    for (int j = 0; j < kLanes; ++j) codes[j] += kPixels * tables_.channels;
  }
  uint8_t OddRow(LaneBits* lane, uint8_t** codes) {
    return DecodeRow<1, kPairs, kIndexBits>(tables_, stream_, table_of_, 0, lane, codes);
  }

  // Channel(): what all lanes share.
  struct TableOfGroup {
    const DecodeEntry* decode;
    const uint8_t* group_of;
    int index_bits;
    const DecodeEntry* Channel(int64_t c) const { return decode + (static_cast<uint32_t>(group_of[c]) << index_bits); }
    const DecodeEntry* operator()(const DecodeEntry* table, const uint8_t*, int64_t) const { return table; }
  };

  const CellTables& tables_;
  const Stream stream_;
  const int64_t* lane_at_;
  const int64_t lanes_, lane_rows_, rows_;
  const bool is_odd_;
  uint8_t* const codes_;
  const TableOfGroup table_of_{tables_.decode, tables_.group_of, tables_.index_bits};
};

}  // namespace

bool DecodePlain(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, int64_t lanes,
                 int64_t lane_rows, int64_t pixels, uint8_t* codes) {
  if (tables.runs != nullptr) return DecodeRuns(tables, stream, lane_at, lanes, lane_rows, pixels, codes);
  const auto run = [&](auto decoder) { return decoder.Run(); };
  if (tables.index_bits <= 8) {
    return tables.pairs ? run(PlainDecoder<true, 8>(tables, stream, lane_at, lanes, lane_rows, pixels, codes))
                        : run(PlainDecoder<false, 8>(tables, stream, lane_at, lanes, lane_rows, pixels, codes));
  }
  return tables.pairs ? run(PlainDecoder<true, 11>(tables, stream, lane_at, lanes, lane_rows, pixels, codes))
                      : run(PlainDecoder<false, 11>(tables, stream, lane_at, lanes, lane_rows, pixels, codes));
}

}  // namespace bitstage::codec::portable
