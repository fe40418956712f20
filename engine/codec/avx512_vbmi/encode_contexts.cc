// Frames with contexts, AVX-512: up to 64 cells' contexts at once from the codes around them, then two gathers: which
// table, and which code.
#include <immintrin.h>

#include "engine/codec/avx512_vbmi/cells.h"
#include "engine/codec/avx512_vbmi/kernels.h"
#include "engine/codec/avx512_vbmi/sink.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

constexpr int kMaxContexts = 2048;  // of all groups
constexpr int kMaxBits = 7;         // the sum of two symbols fits in a byte

int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

int Groups(const CellTables& tables) {
  int groups = 0;
  for (int64_t c = 0; c < tables.channels; ++c) {
    if (tables.group_of[c] >= groups) groups = tables.group_of[c] + 1;
  }
  return groups;
}

// The symbols of the first and the second pixels of some columns.
struct Symbols {
  __m512i first;
  __m512i second;
};

class Encoder {
 public:
  Encoder(const CellTables& tables, int entries, const uint8_t* limit, Sink& sink)
      : tables_(tables),
        groups_(tables),
        limit_(limit),
        sink_(sink),
        channels_(tables.channels),
        shift_(_mm_cvtsi32_si128(tables.shift_of[0])),
        bits_(_mm_cvtsi32_si128(tables.bits_of[0])),
        mask_(_mm512_set1_epi8(static_cast<char>((1 << tables.bits_of[0]) - 1))) {
    const int bits = tables.bits_of[0];
    // docs/frame-format.md, "Which table a cell uses".
    const int step_bits = bits > 2 ? bits - 2 : 0;
    step_bits_ = _mm_cvtsi32_si128(step_bits);
    step_up_ = _mm512_set1_epi8(static_cast<char>((1 << step_bits) - 1));
    const int down = bits > 5 ? bits - 5 : 0;
    down_ = _mm_cvtsi32_si128(down);
    down_mask_ = _mm512_set1_epi8(static_cast<char>(255 >> down));
    for (int i = 0; i < entries; i += 16) {
      const auto some = static_cast<__mmask16>(First(Least(entries - i, 16)));
      const __m128i of_context = _mm_maskz_loadu_epi8(some, tables.of_context + i);
      _mm512_storeu_si512(table_ + i, _mm512_sll_epi32(_mm512_cvtepu8_epi32(of_context), Stride()));
    }
  }

  // One image row; `above` is the distance to the row over it, 0 in the first.
  void Row(const uint8_t* codes, int64_t width, int64_t above) {
    const int64_t pixels = tables_.pairs ? 2 : 1;
    const int64_t at_once = tables_.pairs ? (channels_ == 16   ? 4
                                             : channels_ == 32 ? 2
                                                               : 1)
                                          : (channels_ < 64 ? 64 / channels_ : 1);
    for (int64_t x = 0; x < width && sink_.at() <= limit_;) {
      const int64_t whole = (width - x) / pixels;
      const int64_t columns = x == 0 || whole < at_once ? 1 : at_once;
      for (int64_t c = 0; c < channels_ && sink_.at() <= limit_; c += 64) {
        const int64_t count = Least(64, columns * (channels_ - c));
        Cells(codes + x * channels_ + c, columns, count, c, x > 0, above, whole > 0);
      }
      x += columns * pixels;
    }
  }

 private:
  [[nodiscard]] __m128i Stride() const { return _mm_cvtsi32_si128(tables_.stride_bits); }

  [[nodiscard]] __m512i SymbolsOf(__m512i codes) const {
    return _mm512_and_si512(_mm512_srl_epi16(codes, shift_), mask_);
  }
  static __m512i Load(const uint8_t* from, int64_t count) { return _mm512_maskz_loadu_epi8(First(count), from); }

  // has_second: the first column's second pixel exists.
  [[nodiscard]] Symbols Split(const uint8_t* at, int64_t columns, int64_t count, bool has_second) const {
    if (!tables_.pairs) return {SymbolsOf(Load(at, count)), _mm512_setzero_si512()};
    if (columns == 1) {
      return {SymbolsOf(Load(at, count)), has_second ? SymbolsOf(Load(at + channels_, count)) : _mm512_setzero_si512()};
    }
    const __m512i low = _mm512_loadu_si512(at);
    const __m512i high = _mm512_loadu_si512(at + 64);
    if (columns == 4) {
      return {SymbolsOf(_mm512_shuffle_i32x4(low, high, 0x88)), SymbolsOf(_mm512_shuffle_i32x4(low, high, 0xdd))};
    }
    return {SymbolsOf(_mm512_shuffle_i32x4(low, high, 0x44)), SymbolsOf(_mm512_shuffle_i32x4(low, high, 0xee))};
  }

  void Cells(const uint8_t* at, int64_t columns, int64_t count, int64_t channel, bool has_left, int64_t above,
             bool is_whole) {
    const Symbols own = Split(at, columns, count, is_whole);
    __m512i left = has_left ? Split(at - channels_, columns, count, false).first : _mm512_setzero_si512();
    Symbols up = {left, left};
    if (above != 0) {
      up = Split(at - above, columns, count, is_whole);
      if (!has_left) left = up.first;
    }
    const __m512i sum = _mm512_add_epi8(left, up.first);
    __m512i context;
    if (tables_.pairs) {
      const __m512i steps = _mm512_srl_epi16(_mm512_add_epi8(up.second, step_up_), step_bits_);
      const __m512i right = _mm512_min_epu8(_mm512_and_si512(steps, _mm512_set1_epi8(7)), _mm512_set1_epi8(3));
      context = _mm512_add_epi8(_mm512_slli_epi16(sum, 2), right);
    } else {
      context = _mm512_and_si512(_mm512_srl_epi16(sum, down_), down_mask_);
    }
    const __m512i cells = _mm512_or_si512(own.first, _mm512_sll_epi16(own.second, bits_));
    const __m512i group = groups_.At(channel, count);
    __m512i entries[4];
    entries[0] =
        Entries(_mm512_castsi512_si128(cells), _mm512_castsi512_si128(context), _mm512_castsi512_si128(group), count);
    entries[1] = Entries(_mm512_extracti32x4_epi32(cells, 1), _mm512_extracti32x4_epi32(context, 1),
                         _mm512_extracti32x4_epi32(group, 1), count - 16);
    entries[2] = Entries(_mm512_extracti32x4_epi32(cells, 2), _mm512_extracti32x4_epi32(context, 2),
                         _mm512_extracti32x4_epi32(group, 2), count - 32);
    entries[3] = Entries(_mm512_extracti32x4_epi32(cells, 3), _mm512_extracti32x4_epi32(context, 3),
                         _mm512_extracti32x4_epi32(group, 3), count - 48);
    sink_.AppendEntries(entries, limit_);
  }

  // EncodeEntries of the first `left` of 16 cells, zeros for the others.
  [[nodiscard]] __m512i Entries(__m128i cells, __m128i contexts, __m128i groups, int64_t left) const {
    const auto some = static_cast<__mmask16>(left <= 0 ? 0 : First(left));
    const __m512i zero = _mm512_setzero_si512();
    const __m512i context =
        _mm512_add_epi32(_mm512_mullo_epi32(_mm512_cvtepu8_epi32(groups), _mm512_set1_epi32(tables_.contexts)),
                         _mm512_cvtepu8_epi32(contexts));
    const __m512i table = _mm512_mask_i32gather_epi32(zero, some, context, table_, 4);
    return _mm512_mask_i32gather_epi32(zero, some, _mm512_or_si512(table, _mm512_cvtepu8_epi32(cells)), tables_.encode,
                                       4);
  }

  const CellTables& tables_;
  const GroupWalk groups_;
  const uint8_t* limit_;
  Sink& sink_;
  int64_t channels_;
  __m128i shift_, bits_, step_bits_, down_;
  __m512i mask_, step_up_, down_mask_;
  uint32_t table_[kMaxContexts + 16];  // by group · contexts + context: table << stride_bits
};

}  // namespace

bool EncodeContexts(const CellTables& tables, const uint8_t* codes, const RowBlock& block, const uint8_t* limit,
                    BitSink* bit_sink, uint32_t* lane_bits) {
  const int entries = Groups(tables) * tables.contexts;
  if (tables.bits_of[0] > kMaxBits || entries > kMaxContexts) {
    return Fallback().encode_contexts(tables, codes, block, limit, bit_sink, lane_bits);
  }
  Sink sink(*bit_sink);
  Encoder encoder(tables, entries, limit, sink);
  const int64_t row_codes = block.width * tables.channels;
  for (int64_t row = 0; row < block.rows; ++row) {
    const bool has_above = row == 0 ? block.has_above : (block.first + row) % block.height != 0;
    const int64_t before = sink.position();
    encoder.Row(codes + row * row_codes, block.width, has_above ? row_codes : 0);
    if (sink.at() > limit) return false;
    lane_bits[row] = static_cast<uint32_t>(sink.position() - before);
  }
  sink.Leave(*bit_sink);
  return true;
}

}  // namespace bitstage::codec::avx512_vbmi
