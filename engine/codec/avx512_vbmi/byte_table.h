// Decoding tables that fit in registers.
#pragma once

#include <immintrin.h>

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

// A table by the next 8 bits: code lengths, and what the code stands for (a code where cells are single symbols).
struct alignas(64) ByteTable {
  uint8_t length[256];
  uint8_t symbol[256];
};

// Table `table` of those, whose codes are of at most eight bits.
inline void Fill(const CellTables& tables, int table, ByteTable& to) {
  const DecodeEntry* const from = tables.decode + (static_cast<int64_t>(table) << tables.index_bits);
  const int entries = 1 << tables.longest;
  const int wanted = entries < 64 ? 64 : entries;
  for (int i = 0; i < wanted; i += 16) {
    __m512i e;
    if (entries >= 16) {
      e = _mm512_loadu_si512(from + (i & (entries - 1)));
    } else {
      const __m512i index = _mm512_and_si512(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                             _mm512_set1_epi32(entries - 1));
      e = _mm512_i32gather_epi32(index, from, 4);
    }
    const __m512i symbol = _mm512_srli_epi32(e, tables.pairs ? 24 : 8);
    _mm_store_si128(reinterpret_cast<__m128i*>(to.length + i), _mm512_cvtepi32_epi8(e));
    _mm_store_si128(reinterpret_cast<__m128i*>(to.symbol + i), _mm512_cvtepi32_epi8(symbol));
  }
}

}  // namespace
}  // namespace bitstage::codec::avx512_vbmi
