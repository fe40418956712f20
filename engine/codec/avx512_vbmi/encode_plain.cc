// Plain frames, AVX-512 VBMI: 64 cells a step. Codes and lengths come out of tables in registers (or a gather where the
// tables are larger), neighbours are joined three times over, and what is left are eight appends of up to eight codes.
#include <immintrin.h>

#include "engine/codec/avx512_vbmi/cells.h"
#include "engine/codec/avx512_vbmi/kernels.h"
#include "engine/codec/avx512_vbmi/sink.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

// EncodeEntries of all tables as bytes, by table << stride_bits | cell.
struct alignas(64) ByteCodes {
  uint8_t code[256];
  uint8_t length[256];

  explicit ByteCodes(const CellTables& tables) {
    const int entries = tables.tables << tables.stride_bits;
    for (int i = 0; i < 256; i += 16) {
      const int left = entries - i;
      const __mmask16 some = left >= 16 ? 0xffff : left <= 0 ? 0 : static_cast<__mmask16>((1 << left) - 1);
      const __m512i e = _mm512_maskz_loadu_epi32(some, tables.encode + i);
      _mm_store_si128(reinterpret_cast<__m128i*>(code + i), _mm512_cvtepi32_epi8(e));
      _mm_store_si128(reinterpret_cast<__m128i*>(length + i), _mm512_cvtepi32_epi8(_mm512_srli_epi32(e, 16)));
    }
  }
};

// Appends the codes of up to 64 cells by tables in registers. Codes have at most `longest` bits: 7, of which eight can
// be appended as one, or 8.
template <int entries, int longest>
struct RegisterEncoder {
  const CellTables& tables;
  const ByteCodes& codes;
  const GroupWalk& groups;
  __m128i stride;
  Sink& sink;

  inline __attribute__((always_inline)) void operator()(__m512i cells, int64_t count, int64_t channel) const {
    __m512i index = cells;
    if (tables.tables > 1) index = _mm512_or_si512(index, _mm512_sll_epi16(groups.At(channel, count), stride));
    const __mmask64 some = First(count);
    const __m512i code8 = Look<entries>(codes.code, index, some);
    const __m512i length8 = Look<entries>(codes.length, index, some);
    // Neighbours join: code | next code << length.
    const __m512i low8 = _mm512_set1_epi16(0xff);
    const __m512i length16 = _mm512_maddubs_epi16(length8, _mm512_set1_epi8(1));
    const __m512i code16 = _mm512_or_si512(
        _mm512_and_si512(code8, low8), _mm512_sllv_epi16(_mm512_srli_epi16(code8, 8), _mm512_and_si512(length8, low8)));
    const __m512i low16 = _mm512_set1_epi32(0xffff);
    const __m512i length32 = _mm512_madd_epi16(length16, _mm512_set1_epi16(1));
    const __m512i code32 =
        _mm512_or_si512(_mm512_and_si512(code16, low16),
                        _mm512_sllv_epi32(_mm512_srli_epi32(code16, 16), _mm512_and_si512(length16, low16)));
    const __m512i low32 = _mm512_set1_epi64(0xffffffff);
    const __m512i first = _mm512_and_si512(length32, low32);
    const __m512i length64 = _mm512_add_epi64(first, _mm512_srli_epi64(length32, 32));
    if (8 * longest > kMaxAppend && _mm512_cmpgt_epu64_mask(length64, _mm512_set1_epi64(kMaxAppend)) != 0) {
      sink.Append(_mm512_cvtepu32_epi64(_mm512_castsi512_si256(code32)),
                  _mm512_cvtepu32_epi64(_mm512_castsi512_si256(length32)));
      sink.Append(_mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(code32, 1)),
                  _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(length32, 1)));
      return;
    }
    const __m512i code64 =
        _mm512_or_si512(_mm512_and_si512(code32, low32), _mm512_sllv_epi64(_mm512_srli_epi64(code32, 32), first));
    sink.Append(code64, length64);
  }
};

// The same with a gather of EncodeEntries, for tables and codes of any size.
struct GatherEncoder {
  const CellTables& tables;
  const GroupWalk& groups;
  const uint8_t* limit;
  Sink& sink;

  inline __attribute__((always_inline)) void operator()(__m512i cells, int64_t count, int64_t channel) const {
    const __m512i group = groups.At(channel, count);
    const __m128i stride = _mm_cvtsi32_si128(tables.stride_bits);
    const auto entries = [&](__m128i cells16, __m128i groups16, int64_t left) {
      const __m512i index =
          _mm512_or_si512(_mm512_cvtepu8_epi32(cells16), _mm512_sll_epi32(_mm512_cvtepu8_epi32(groups16), stride));
      return _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), static_cast<__mmask16>(First(left)), index,
                                         tables.encode, 4);
    };
    const __m512i all[4] = {
        entries(_mm512_castsi512_si128(cells), _mm512_castsi512_si128(group), count),
        entries(_mm512_extracti32x4_epi32(cells, 1), _mm512_extracti32x4_epi32(group, 1), Left(count, 16)),
        entries(_mm512_extracti32x4_epi32(cells, 2), _mm512_extracti32x4_epi32(group, 2), Left(count, 32)),
        entries(_mm512_extracti32x4_epi32(cells, 3), _mm512_extracti32x4_epi32(group, 3), Left(count, 48))};
    sink.AppendEntries(all, limit);
  }
  static inline __attribute__((always_inline)) int64_t Left(int64_t count, int64_t before) {
    return count > before ? count - before : 0;
  }
};

template <typename Encoder>
__attribute__((noinline)) bool EncodeLanes(const CellWalk& cells, const Encoder& encoder, int64_t lane_rows,
                                           const uint8_t* limit, Sink& sink, uint32_t* lane_bits) {
  const int64_t rows = cells.rows();
  for (int64_t row = 0; row < rows; row += lane_rows) {
    const int64_t before = sink.position();
    cells(row, rows - row < lane_rows ? rows : row + lane_rows, [&](__m512i some, int64_t count, int64_t channel) {
      if (sink.at() <= limit) encoder(some, count, channel);
    });
    if (sink.at() > limit) return false;
    *lane_bits++ = static_cast<uint32_t>(sink.position() - before);
  }
  return true;
}

}  // namespace

bool EncodePlain(const CellTables& tables, const uint8_t* codes, int64_t pixels, int64_t lane_rows,
                 const uint8_t* limit, BitSink* bit_sink, uint32_t* lane_bits) {
  if (!tables.uniform) return Fallback().encode_plain(tables, codes, pixels, lane_rows, limit, bit_sink, lane_bits);
  const CellWalk cells(tables, codes, pixels, tables.tables == 1);
  const GroupWalk groups(tables);
  Sink sink(*bit_sink);
  const int entries = tables.tables << tables.stride_bits;
  bool fits = false;
  if (entries <= 256 && tables.longest <= 8) {
    const ByteCodes bytes(tables);
    const __m128i stride = _mm_cvtsi32_si128(tables.stride_bits);
    const auto encode = [&](const auto& encoder) {
      return EncodeLanes(cells, encoder, lane_rows, limit, sink, lane_bits);
    };
    const bool is_short = tables.longest < 8;
    if (entries <= 64) {
      fits = is_short ? encode(RegisterEncoder<64, 7>{tables, bytes, groups, stride, sink})
                      : encode(RegisterEncoder<64, 8>{tables, bytes, groups, stride, sink});
    } else if (entries <= 128) {
      fits = is_short ? encode(RegisterEncoder<128, 7>{tables, bytes, groups, stride, sink})
                      : encode(RegisterEncoder<128, 8>{tables, bytes, groups, stride, sink});
    } else {
      fits = encode(RegisterEncoder<256, 8>{tables, bytes, groups, stride, sink});
    }
  } else {
    fits = EncodeLanes(cells, GatherEncoder{tables, groups, limit, sink}, lane_rows, limit, sink, lane_bits);
  }
  sink.Leave(*bit_sink);
  return fits;
}

}  // namespace bitstage::codec::avx512_vbmi
