// Frames with contexts, AVX-512: up to 64 cells' contexts at once from the codes around them, their tables out of
// registers, then a gather of the codes.
#include <immintrin.h>

#include "engine/codec/avx512_vbmi/cells.h"
#include "engine/codec/avx512_vbmi/context_tables.h"
#include "engine/codec/avx512_vbmi/kernels.h"
#include "engine/codec/avx512_vbmi/sink.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

class Encoder {
 public:
  Encoder(const CellTables& tables, const uint8_t* limit, Sink& sink)
      : tables_(tables),
        contexts_(tables),
        groups_(tables),
        limit_(limit),
        sink_(sink),
        channels_(tables.channels),
        bits_(_mm_cvtsi32_si128(tables.bits_of[0])),
        stride_bits_(_mm_cvtsi32_si128(tables.stride_bits)) {}

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
  [[nodiscard]] __m512i SymbolsOf(__m512i codes) const { return contexts_.SymbolsOf(codes); }
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
    const __m512i cells = _mm512_or_si512(own.first, _mm512_sll_epi16(own.second, bits_));
    const __m512i table = contexts_.TablesOf(left, up, groups_.At(channel, count));
    __m512i entries[4];
    entries[0] = Entries(_mm512_castsi512_si128(cells), _mm512_castsi512_si128(table), count);
    entries[1] = Entries(_mm512_extracti32x4_epi32(cells, 1), _mm512_extracti32x4_epi32(table, 1), count - 16);
    entries[2] = Entries(_mm512_extracti32x4_epi32(cells, 2), _mm512_extracti32x4_epi32(table, 2), count - 32);
    entries[3] = Entries(_mm512_extracti32x4_epi32(cells, 3), _mm512_extracti32x4_epi32(table, 3), count - 48);
    sink_.AppendEntries(entries, limit_);
  }

  // EncodeEntries of the first `left` of 16 cells, zeros for the others.
  [[nodiscard]] inline __attribute__((always_inline)) __m512i Entries(__m128i cells, __m128i tables,
                                                                      int64_t left) const {
    const __m512i zero = _mm512_setzero_si512();
    if (left <= 0) return zero;
    const auto some = static_cast<__mmask16>(First(Least(left, 16)));
    const __m512i table = _mm512_sll_epi32(_mm512_cvtepu8_epi32(tables), stride_bits_);
    return _mm512_mask_i32gather_epi32(zero, some, _mm512_or_si512(table, _mm512_cvtepu8_epi32(cells)), tables_.encode,
                                       4);
  }

  const CellTables& tables_;
  const ContextTables contexts_;
  const GroupWalk groups_;
  const uint8_t* limit_;
  Sink& sink_;
  int64_t channels_;
  __m128i bits_, stride_bits_;
};

}  // namespace

bool EncodeContexts(const CellTables& tables, const uint8_t* codes, const RowBlock& block, const uint8_t* limit,
                    BitSink* bit_sink, uint32_t* lane_bits) {
  if (!ContextTables::Suits(tables)) {
    return Fallback().encode_contexts(tables, codes, block, limit, bit_sink, lane_bits);
  }
  Sink sink(*bit_sink);
  Encoder encoder(tables, limit, sink);
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
