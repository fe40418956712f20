// Plain C++ that compilers turn into good code for any CPU: several lanes in lockstep, their bits in registers.
#include <algorithm>
#include <bit>
#include <cstring>

#include "engine/codec/cell_kernels.h"
#include "engine/codec/contexts.h"
#include "engine/codec/decode_runs.h"

namespace bitstage::codec {
namespace {

static_assert(std::endian::native == std::endian::little);

// Lanes decoded together: their chains of dependent loads overlap.
#ifndef KT
#define KT 4
#endif
constexpr int kTogether = KT;
// Bits in a register after a refill, at least. The one on top marks how many were used: it moves down with them.
constexpr int kRefilled = 56;
constexpr uint64_t kMark = uint64_t{1} << 63;

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

// ---- Encoding

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

// Up to four codes put together.
struct Merged {
  uint64_t bits;
  int length;
};
inline Merged operator+(Merged a, Merged b) { return {a.bits | b.bits << a.length, a.length + b.length}; }
inline Merged CodeOf(EncodeEntry entry) { return {entry.bits, entry.length}; }

// code.length <= 56.
inline void Append(Merged code, BitSink& sink) {
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

inline int64_t BitsBehind(const uint8_t* begin, const BitSink& sink) { return 8 * (sink.at - begin) + sink.count; }

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

// ---- Decoding

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

// ---- Contexts

// Tables of the contexts' cells, found from codes (whose shift is the same everywhere): k needs 4 · (l + u₀) or a
// shifted sum, and u₁ in steps.
class ContextTables {
 public:
  explicit ContextTables(const CellTables& tables)
      : tables_(tables), down_(tables.shift_of[0] + (tables.pairs ? 0 : SingleContextShift(tables.bits_of[0]))) {
    for (int u1 = 0; tables.pairs && u1 < 1 << tables.bits_of[0]; ++u1) {
      step_of_[u1 << tables.shift_of[0]] = static_cast<uint8_t>(PairContext(0, 0, u1, tables.bits_of[0]));
    }
  }

  // What the cells of a channel share: the tables of its group's contexts.
  const uint8_t* OfChannel(int64_t c) const { return tables_.of_context + tables_.group_of[c] * tables_.contexts; }
  template <bool kPairs>
  uint32_t TableOf(const uint8_t* of_channel, uint32_t l, uint32_t u0, uint32_t u1) const {
    const uint32_t sum = (l + u0) >> down_;
    return of_channel[kPairs ? 4 * sum + step_of_[u1] : sum];
  }

 private:
  const CellTables& tables_;
  int down_;
  uint8_t step_of_[256] = {};
};

// Where a row of cells stands in its image.
struct Place {
  int64_t left;    // distance to the left pixel's codes: channels, or 0 in the first column
  int64_t above;   // to the row above's: width · channels, or 0 in the first row
  bool has_right;  // the row above has a pixel over the second one
};

// The table of the cell of channel c whose first pixel is at `codes`.
template <bool kPairs>
uint32_t TableAt(const ContextTables& contexts, const Place& place, int64_t channels, const uint8_t* codes, int64_t c) {
  uint32_t l = place.left != 0 ? codes[c - place.left] : 0;
  uint32_t u0 = l;
  uint32_t u1 = l;
  if (place.above != 0) {
    u0 = codes[c - place.above];
    u1 = kPairs && place.has_right ? codes[c - place.above + channels] : 0;
    if (place.left == 0) l = u0;
  }
  return contexts.TableOf<kPairs>(contexts.OfChannel(c), l, u0, u1);
}

bool HasAbove(const RowBlock& block, int64_t row) {
  return row == 0 ? block.has_above : (block.first + row) % block.height != 0;
}

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

bool EncodeContexts(const CellTables& tables, const uint8_t* codes, const RowBlock& block, const uint8_t* limit,
                    BitSink* sink, uint32_t* lane_bits) {
  const auto encode = tables.pairs ? EncodeContextsOf<true> : EncodeContextsOf<false>;
  return encode(tables, codes, block, limit, sink, lane_bits);
}

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

bool DecodeContexts(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, const RowBlock& block,
                    uint8_t* codes) {
  if (tables.index_bits <= 8) {
    return tables.pairs ? ContextDecoder<true, 8>(tables, stream, lane_at, block, codes).Run()
                        : ContextDecoder<false, 8>(tables, stream, lane_at, block, codes).Run();
  }
  return tables.pairs ? ContextDecoder<true, 11>(tables, stream, lane_at, block, codes).Run()
                      : ContextDecoder<false, 11>(tables, stream, lane_at, block, codes).Run();
}

}  // namespace

const CellKernels& PortableKernels() {
  static constexpr CellKernels kKernels = {.name = "portable",
                                           .off_grid = OffGrid,
                                           .count = Count,
                                           .encode_plain = EncodePlain,
                                           .decode_plain = DecodePlain,
                                           .encode_contexts = EncodeContexts,
                                           .decode_contexts = DecodeContexts};
  return kKernels;
}

}  // namespace bitstage::codec
