// Frames with contexts, AVX-512 VBMI: image rows in step, each a column behind the one above it; a lane that is through
// with its row takes the next one that nobody has. What tables a column of a row uses is known before its first cell is
// decoded and comes out of registers, 64 channels at a time; what remains a cell is one look-up, the rows' chains of
// them side by side.
#include <immintrin.h>

#include "engine/codec/avx512_vbmi/cells.h"
#include "engine/codec/avx512_vbmi/context_tables.h"
#include "engine/codec/avx512_vbmi/kernels.h"
#include "engine/codec/portable/lanes.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

using portable::CarefulRefill;
using portable::FastRefill;
using portable::LaneBits;

constexpr int kLanes = 8;
constexpr int64_t kFewChannels = 16;  // of four lanes in a register
constexpr int64_t kMaxChannels = 512;
constexpr int64_t kLaneRoom = kMaxChannels + 32;  // not a power of two: lanes' cells shall not meet in the cache

struct Lane {
  LaneBits bits;
  int64_t row;     // of the block; not below its rows where there is nothing left to do
  int64_t column;  // of cells; negative before the lane's first turn
  bool is_active;
  bool has_above;  // the row over it counts
  uint8_t* codes;  // of the column's first pixel
};

class Decoder {
 public:
  Decoder(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, const RowBlock& block,
          uint8_t* codes)
      : tables_(tables),
        contexts_(tables),
        groups_(tables),
        stream_(tables, stream, lane_at[block.rows]),
        lane_at_(lane_at),
        block_(block),
        codes_(codes),
        channels_(tables.channels),
        pixels_(tables.pairs ? 2 : 1),
        columns_((block.width + pixels_ - 1) / pixels_),
        index_bits_(_mm_cvtsi32_si128(tables.index_bits)) {}

  static bool Suits(const CellTables& tables, const RowBlock& block) {
    const int64_t columns = tables.pairs ? (block.width + 1) / 2 : block.width;
    // A row's first column is done before the row below begins, kLanes columns later at the earliest.
    return columns > kLanes && block.rows > 1 && tables.channels <= kMaxChannels && ContextTables::Suits(tables);
  }

  // decode: the tables' entries, or what matters of them.
  template <int kIndexBits, typename Entry>
  bool Run(const Entry* decode) {
    for (int64_t j = 0; j < kLanes; ++j) lanes_[j] = {{}, j, -j, false, false, nullptr};
    const int64_t last = block_.rows - 1;
    const int64_t steps = last % kLanes + (last / kLanes + 1) * columns_;
    for (int64_t t = 0; t <= steps; ++t) {
      for (int j = 0; j < kLanes; ++j) {
        if (lanes_[j].is_active && !Finish(j)) return false;
      }
      Prepare();
      bool is_fast = true;
      for (const Lane& lane : lanes_) is_fast &= stream_.IsFast(lane.bits);
      if (is_fast) {
        Chains<kIndexBits>(decode, stream_.Fast());
      } else {
        Chains<kIndexBits>(decode, stream_.Careful());
      }
    }
    return true;
  }

 private:
  static __m512i Load(const uint8_t* from, __mmask64 some) { return _mm512_maskz_loadu_epi8(some, from); }

  // Codes to the left of a column's channels and above them: of up to 64 or up to 16 channels.
  struct Around {
    __m512i left, up, up_right;
  };
  struct FewAround {
    __m128i left, up, up_right;
  };

  // To the lane's next column.
  inline __attribute__((always_inline)) void Begin(Lane& lane) const {
    lane.is_active = lane.column >= 0 && lane.row < block_.rows;
    if (!lane.is_active) {
      if (lane.column < 0) ++lane.column;
      lane.bits.at = lane_at_[0];  // anything that may be read
    } else if (lane.column == 0) {
      lane.bits.at = lane_at_[lane.row];
      lane.has_above = lane.row == 0 ? block_.has_above : (block_.first + lane.row) % block_.height != 0;
      lane.codes = codes_ + lane.row * block_.width * channels_;
    }
  }
  // load(from): some codes.
  template <typename Some, typename Load>
  [[nodiscard]] inline __attribute__((always_inline)) Some AroundOf(const Lane& lane, int64_t c,
                                                                    const Load& load) const {
    Some some = {};
    if (!lane.is_active) return some;
    const uint8_t* const at = lane.codes + c;
    if (lane.column > 0) some.left = load(at - channels_);
    if (!lane.has_above) return {some.left, some.left, some.left};
    const uint8_t* const above = at - block_.width * channels_;
    some.up = load(above);
    if (lane.column == 0) some.left = some.up;
    if (HasSecond(lane)) some.up_right = load(above + channels_);
    return some;
  }
  [[nodiscard]] bool HasSecond(const Lane& lane) const { return pixels_ == 2 && 2 * lane.column + 1 < block_.width; }
  [[nodiscard]] inline __attribute__((always_inline)) __m512i TablesOf(const Around& around, __m512i groups) const {
    return contexts_.TablesOf(contexts_.SymbolsOf(around.left),
                              {contexts_.SymbolsOf(around.up), contexts_.SymbolsOf(around.up_right)}, groups);
  }
  inline __attribute__((always_inline)) void PutTables(__m128i tables, uint32_t* to) const {
    _mm512_storeu_si512(to, _mm512_sll_epi32(_mm512_cvtepu8_epi32(tables), index_bits_));
  }

  // Where the lanes' next columns have their tables: to cells_.
  inline __attribute__((always_inline)) void Prepare() {
    for (Lane& lane : lanes_) Begin(lane);
    if (channels_ > kFewChannels) {
      for (int j = 0; j < kLanes; ++j) {
        for (int64_t c = 0; c < channels_; c += 64) {
          const int64_t count = channels_ - c < 64 ? channels_ - c : 64;
          const auto load = [some = First(count)](const uint8_t* from) { return Load(from, some); };
          const __m512i tables = TablesOf(AroundOf<Around>(lanes_[j], c, load), groups_.At(c, count));
          uint32_t* const to = cells_[j] + c;
          PutTables(_mm512_castsi512_si128(tables), to);
          if (count > 16) PutTables(_mm512_extracti32x4_epi32(tables, 1), to + 16);
          if (count > 32) PutTables(_mm512_extracti32x4_epi32(tables, 2), to + 32);
          if (count > 48) PutTables(_mm512_extracti32x4_epi32(tables, 3), to + 48);
        }
      }
      return;
    }
    // Four lanes to a register.
    const auto some = static_cast<__mmask16>(First(channels_));
    const __m512i groups = _mm512_broadcast_i32x4(_mm_maskz_loadu_epi8(some, tables_.group_of));
    // Loads no wider than the stores just before them: those wait for no cache.
    const auto load = [&](const uint8_t* from) {
      return channels_ == 16 ? _mm_loadu_si128(reinterpret_cast<const __m128i*>(from))
                             : _mm_maskz_loadu_epi8(some, from);
    };
    for (int j = 0; j < kLanes; j += 4) {
      FewAround one[4];
      for (int i = 0; i < 4; ++i) one[i] = AroundOf<FewAround>(lanes_[j + i], 0, load);
      const auto join = [&](__m128i FewAround::*part) {
        const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(one[0].*part), one[1].*part, 1);
        const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(one[2].*part), one[3].*part, 1);
        return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
      };
      const Around all = {join(&FewAround::left), join(&FewAround::up), join(&FewAround::up_right)};
      const __m512i tables = TablesOf(all, groups);
      PutTables(_mm512_castsi512_si128(tables), cells_[j]);
      PutTables(_mm512_extracti32x4_epi32(tables, 1), cells_[j + 1]);
      PutTables(_mm512_extracti32x4_epi32(tables, 2), cells_[j + 2]);
      PutTables(_mm512_extracti32x4_epi32(tables, 3), cells_[j + 3]);
    }
  }

  static uint32_t EntryAt(const DecodeEntry* entry) { return portable::EntryAt(entry); }
  static uint32_t EntryAt(const uint16_t* entry) { return *entry; }

  // One column of each lane: cells_ become DecodeEntries.
  template <int kIndexBits, typename Entry, typename Refill>
  inline __attribute__((always_inline)) void Chains(const Entry* decode, const Refill& refill) {
    constexpr int kMost = Refill::kBits / kIndexBits;
    constexpr int kCells = kMost == 5 ? 4 : kMost;  // most numbers of channels are multiples of four
    const uint32_t mask = (1u << (kIndexBits == 8 ? 8 : tables_.index_bits)) - 1;
    LaneBits lane[kLanes];
    for (int j = 0; j < kLanes; ++j) lane[j] = lanes_[j].bits;
    uint32_t* const cells = cells_[0];
    const int64_t channels = channels_;
    for (int64_t c = 0; c < channels; c += kCells) {
      for (LaneBits& bits : lane) refill(bits);
      const auto step = [&](int64_t i) {
#pragma GCC unroll 8
        for (int j = 0; j < kLanes; ++j) {
          uint32_t* const cell = cells + j * kLaneRoom + i;
          const uint32_t entry = EntryAt(decode + ((lane[j].word & mask) + *cell));
          lane[j].word >>= entry & 63;
          *cell = entry;
        }
      };
      if (c + kCells <= channels) {
#pragma GCC unroll 8
        for (int i = 0; i < kCells; ++i) step(c + i);
      } else {
        for (int64_t i = c; i < channels; ++i) step(i);
      }
      for (LaneBits& bits : lane) bits.at += std::countl_zero(bits.word);
    }
    for (int j = 0; j < kLanes; ++j) lanes_[j].bits = lane[j];
  }

  // Stores the codes of the lane's column and goes on to the next. False where a second symbol is not 0 that must be,
  // or the row does not end where it should.
  inline __attribute__((always_inline)) bool Finish(int j) {
    Lane& lane = lanes_[j];
    uint8_t* const to = lane.codes;
    const bool has_second = HasSecond(lane);
    __mmask16 seconds = 0;
    for (int64_t c = 0; c < channels_; c += 16) {
      const auto some = static_cast<__mmask16>(First(channels_ - c < 16 ? channels_ - c : 16));
      const __m512i entries = _mm512_maskz_loadu_epi32(some, cells_[j] + c);
      const __m128i first = _mm512_cvtepi32_epi8(_mm512_srli_epi32(entries, 8));
      const __m512i second = _mm512_srli_epi32(entries, 16);
      if (channels_ - c >= 16) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + c), first);
        if (has_second) {
          _mm_storeu_si128(reinterpret_cast<__m128i*>(to + c + channels_), _mm512_cvtepi32_epi8(second));
        }
      } else {
        _mm_mask_storeu_epi8(to + c, some, first);
        if (has_second) _mm_mask_storeu_epi8(to + c + channels_, some, _mm512_cvtepi32_epi8(second));
      }
      if (!has_second) seconds |= _mm512_test_epi32_mask(entries, _mm512_set1_epi32(0xff0000));
    }
    if (seconds != 0) return false;
    lane.codes += pixels_ * channels_;
    if (++lane.column < columns_) return true;
    if (lane.bits.at != lane_at_[lane.row + 1]) return false;
    lane.column = 0;
    lane.row += kLanes;
    return true;
  }

  const CellTables& tables_;
  const ContextTables contexts_;
  const GroupWalk groups_;
  const portable::Stream stream_;
  const int64_t* const lane_at_;
  const RowBlock& block_;
  uint8_t* const codes_;
  const int64_t channels_, pixels_, columns_;
  const __m128i index_bits_;
  Lane lanes_[kLanes];
  // Of each lane's column: where tables begin, then the entries that were found there.
  alignas(64) uint32_t cells_[kLanes][kLaneRoom];
};

}  // namespace

bool DecodeContexts(const CellTables& tables, const uint8_t* stream, const int64_t* lane_at, const RowBlock& block,
                    uint8_t* codes) {
  if (!Decoder::Suits(tables, block)) {
    return Fallback().decode_contexts(tables, stream, lane_at, block, codes);
  }
  Decoder decoder(tables, stream, lane_at, block, codes);
  if (tables.index_bits <= 8) return decoder.Run<8>(tables.decode);
  return tables.decode_symbols != nullptr ? decoder.Run<11>(tables.decode_symbols) : decoder.Run<11>(tables.decode);
}

}  // namespace bitstage::codec::avx512_vbmi
