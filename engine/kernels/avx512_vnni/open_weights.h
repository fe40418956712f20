// Packed weights (engine/kernels/packed_weights.h) back to registers of int8, by byte shuffles. Only for files of this
// tier.
#pragma once

#include "engine/kernels/avx512_vnni/registers.h"
#include "engine/kernels/packed_weights.h"

namespace bitstage::kernels::avx512_vnni {

// A section's table for each of the two indices that share four bits at width 2; at width 4 the first is for all.
struct OpenTables {
  __m512i low, high;
};

template <int kWidth>
BITSTAGE_INLINE OpenTables TablesFor(const int8_t* table) {
  const __m512i values = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  if constexpr (kWidth != 2) return {values, values};
  const __m512i low = _mm512_set1_epi32(0x03020100);
  const __m512i high = _mm512_broadcast_i32x4(_mm_setr_epi32(0x00000000, 0x01010101, 0x02020202, 0x03030303));
  return {_mm512_shuffle_epi8(values, low), _mm512_shuffle_epi8(values, high)};
}

// Vector kIndex of a chunk.
template <int kWidth, int kIndex>
BITSTAGE_INLINE __m512i OpenVector(const uint8_t* chunk, const OpenTables& tables) {
  __m512i indices = _mm512_loadu_si512(chunk);
  if constexpr (kWidth == 8) return indices;
  if constexpr (kIndex * kWidth >= 4) indices = _mm512_srli_epi16(indices, 4);
  indices = _mm512_and_si512(indices, _mm512_set1_epi8(0x0f));
  return _mm512_shuffle_epi8(kWidth == 2 && kIndex % 2 == 1 ? tables.high : tables.low, indices);
}

}  // namespace bitstage::kernels::avx512_vnni
