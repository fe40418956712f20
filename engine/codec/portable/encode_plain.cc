// Plain frames encoded in plain C++ that compilers turn into good code for any CPU.
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

// A sink whose newest bits are a register's highest: codes that stand there, too, go in by a shift.
class HighSink {
 public:
  explicit HighSink(const BitSink& from) : at_(from.at), count_(static_cast<uint64_t>(from.count)) {
    bits_ = from.bits << (-count_ & 63);
  }
  void Leave(BitSink& to) const { to = {at_, count_ > 0 ? bits_ >> (64 - count_) : 0, static_cast<int>(count_)}; }
  [[nodiscard]] uint8_t* at() const { return at_; }

  // An entry of CellTables::encode_high. kMaxHeld bits at most may be held before the next Store.
  void Add(uint64_t entry) {
    bits_ = bits_ >> (entry & 63) | entry;
    count_ += entry;  // what stands above the lowest byte does no harm
  }
  [[nodiscard]] bool Fits(uint64_t entry) const { return (count_ & 255) + (entry & 255) <= kMaxHeld; }
  // At most seven bits are held then.
  void Store() {
    const uint64_t held = count_ & 63;
    const uint64_t word = bits_ >> (-held & 63);
    std::memcpy(at_, &word, sizeof(word));
    at_ += held >> 3;
    count_ = held & 7;
  }

 private:
  static constexpr uint64_t kMaxHeld = 56;  // the lowest byte of the last entry is no code

  uint8_t* at_;
  uint64_t bits_;
  uint64_t count_;
};

// Tables with CellTables::encode_high: two symbols a look-up, or one cell.
template <bool kTwo>
class HighEncoder {
 public:
  HighEncoder(const CellTables& tables, const BitSink& sink)
      : tables_(tables), eight_(tables), high_(tables.encode_high), is_long_(tables.longest > 8), sink_(sink) {}

  HighSink& sink() { return sink_; }

  // `count` cells from neighbouring channels, with several tables a row's; second: the codes of the row's second pixel,
  // null where there is none.
  // False where they pass `limit`.
  bool Append(const uint8_t* first, const uint8_t* second, int64_t count, const uint8_t* limit) {
    int64_t c = 0;
    for (; c + 8 <= count; c += 8) {
      if constexpr (kTwo) {
        const uint64_t pairs = eight_.Neighbours(first + c);
        AppendFour(pairs & 0xffff, pairs >> 16 & 0xffff, pairs >> 32 & 0xffff, pairs >> 48);
      } else {
        uint64_t cells = second != nullptr ? eight_.Cells(first + c, second + c) : eight_.Symbols(first + c);
        if (tables_.entry_of != nullptr) cells |= Word(tables_.entry_of + c);
        AppendFour(cells & 255, cells >> 8 & 255, cells >> 16 & 255, cells >> 24 & 255);
        AppendFour(cells >> 32 & 255, cells >> 40 & 255, cells >> 48 & 255, cells >> 56);
      }
      if (sink_.at() > limit) return false;
    }
    for (; c < count; ++c) {
      const uint32_t cell = eight_.Cell(first + c, second != nullptr ? second + c : nullptr);
      const EncodeEntry entry = tables_.encode[(tables_.entry_of != nullptr ? tables_.entry_of[c] : 0u) | cell];
      sink_.Add(uint64_t{entry.bits} << (-entry.length & 63) | entry.length);
      sink_.Store();
    }
    return sink_.at() <= limit;
  }

 private:
  void AppendFour(uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    sink_.Add(high_[a]);
    sink_.Add(high_[b]);
    if (kTwo && is_long_) sink_.Store();
    sink_.Add(high_[c]);
    const uint64_t last = high_[d];
    if (kTwo && !sink_.Fits(last)) sink_.Store();
    sink_.Add(last);
    sink_.Store();
  }

  const CellTables& tables_;
  EightCodes eight_;
  const uint64_t* high_;
  bool is_long_;
  HighSink sink_;
};

template <bool kTwo>
bool EncodeHigh(const CellTables& tables, const uint8_t* codes, int64_t pixels, int64_t lane_rows, const uint8_t* limit,
                BitSink* sink, uint32_t* lane_bits) {
  const uint8_t* const begin = sink->at;
  const int64_t channels = tables.channels;
  const bool is_flat = !tables.pairs && tables.entry_of == nullptr;
  const int64_t step = tables.pairs ? 2 : 1;
  const int64_t lane_pixels = step * lane_rows;
  HighEncoder<kTwo> encoder(tables, *sink);
  int64_t lane_begin = sink->count;
  for (int64_t pixel = 0; pixel < pixels; pixel += lane_pixels) {
    const int64_t here = std::min(lane_pixels, pixels - pixel);
    if (is_flat && !encoder.Append(codes, nullptr, here * channels, limit)) return false;
    for (int64_t i = 0; !is_flat && i < here; i += step) {
      const uint8_t* const first = codes + i * channels;
      const bool has_second = tables.pairs && i + 1 < here;
      if (!encoder.Append(first, has_second ? first + channels : nullptr, channels, limit)) return false;
    }
    codes += here * channels;
    encoder.sink().Leave(*sink);
    const int64_t end = BitsBehind(begin, *sink);
    *lane_bits++ = static_cast<uint32_t>(end - lane_begin);
    lane_begin = end;
  }
  return true;
}

}  // namespace

bool EncodePlain(const CellTables& tables, const uint8_t* codes, int64_t pixels, int64_t lane_rows,
                 const uint8_t* limit, BitSink* sink, uint32_t* lane_bits) {
  if (tables.encode_high != nullptr) {
    const bool two = tables.tables == 1 && !tables.pairs && tables.bits_of[0] <= kMaxBitsOfTwo;
    const auto encode = two ? EncodeHigh<true> : EncodeHigh<false>;
    return encode(tables, codes, pixels, lane_rows, limit, sink, lane_bits);
  }
  const auto encode = tables.pairs ? (tables.uniform ? EncodePlainOf<true, true> : EncodePlainOf<true, false>)
                                   : (tables.uniform ? EncodePlainOf<false, true> : EncodePlainOf<false, false>);
  return encode(tables, codes, pixels, lane_rows, limit, sink, lane_bits);
}

}  // namespace bitstage::codec::portable
