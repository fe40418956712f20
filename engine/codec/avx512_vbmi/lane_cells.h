// From registers that hold a few cells of many lanes to the lanes' codes in memory.
#pragma once

#include <immintrin.h>

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

constexpr int kHalf = 16;  // lanes of 32 bits, half of a register of words

// Four registers of kHalf lanes x 4 cells become four of 4 lanes x 16 cells: to[i] has lanes i, i + 4, i + 8, i + 12.
inline __attribute__((always_inline)) void Transpose(const __m512i* fours, __m512i* to) {
  const __m512i low[2] = {_mm512_unpacklo_epi32(fours[0], fours[1]), _mm512_unpacklo_epi32(fours[2], fours[3])};
  const __m512i high[2] = {_mm512_unpackhi_epi32(fours[0], fours[1]), _mm512_unpackhi_epi32(fours[2], fours[3])};
  to[0] = _mm512_unpacklo_epi64(low[0], low[1]);
  to[1] = _mm512_unpackhi_epi64(low[0], low[1]);
  to[2] = _mm512_unpacklo_epi64(high[0], high[1]);
  to[3] = _mm512_unpackhi_epi64(high[0], high[1]);
}

// Four registers of quarters: to[i] has quarter i of each.
inline __attribute__((always_inline)) void TransposeQuarters(const __m512i* from, __m512i* to) {
  const __m512i low[2] = {_mm512_shuffle_i32x4(from[0], from[1], 0x44), _mm512_shuffle_i32x4(from[2], from[3], 0x44)};
  const __m512i high[2] = {_mm512_shuffle_i32x4(from[0], from[1], 0xee), _mm512_shuffle_i32x4(from[2], from[3], 0xee)};
  to[0] = _mm512_shuffle_i32x4(low[0], low[1], 0x88);
  to[1] = _mm512_shuffle_i32x4(low[0], low[1], 0xdd);
  to[2] = _mm512_shuffle_i32x4(high[0], high[1], 0x88);
  to[3] = _mm512_shuffle_i32x4(high[0], high[1], 0xdd);
}

// Calls store(16 cells, lane) for kHalf lanes of what Transpose() gives.
template <typename Store>
inline __attribute__((always_inline)) void ForLanes(const __m512i* of_lanes, const Store& store) {
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    store(_mm512_castsi512_si128(of_lanes[i]), i);
    store(_mm512_extracti32x4_epi32(of_lanes[i], 1), i + 4);
    store(_mm512_extracti32x4_epi32(of_lanes[i], 2), i + 8);
    store(_mm512_extracti32x4_epi32(of_lanes[i], 3), i + 12);
  }
}

// Splits cells of pairs into the codes of their first and second pixels.
struct PixelsOfPairs {
  __m512i mask;
  __m128i bits, shift;

  explicit PixelsOfPairs(const CellTables& tables)
      : mask(_mm512_set1_epi8(static_cast<char>((1 << tables.bits_of[0]) - 1))),
        bits(_mm_cvtsi32_si128(tables.bits_of[0])),
        shift(_mm_cvtsi32_si128(tables.shift_of[0])) {}

  inline __attribute__((always_inline)) void Split(__m512i cells, __m512i* first, __m512i* second) const {
    *second = _mm512_sll_epi16(_mm512_and_si512(_mm512_srl_epi16(cells, bits), mask), shift);
    *first = _mm512_sll_epi16(_mm512_and_si512(cells, mask), shift);
  }
};

inline __attribute__((always_inline)) void Store(uint8_t* to, __m128i codes) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), codes);
}

}  // namespace
}  // namespace bitstage::codec::avx512_vbmi
