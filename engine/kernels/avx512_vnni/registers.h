// What the kernels of this tier share in registers: dot products, unrolling, and the way from accumulators to codes.
// Only for files of this tier, which are all compiled with the same flags.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <utility>

#include "engine/kernels/padded_transform.h"

namespace bitstage::kernels::avx512_vnni {

#define BITSTAGE_INLINE __attribute__((always_inline)) static inline
// Of lambdas in functions so large that the compiler would rather call them.
#define BITSTAGE_INLINED __attribute__((always_inline))

// acc + the products of four u8 and four s8 a lane. g++ 12 spills accumulators that go through the intrinsic.
BITSTAGE_INLINE __m512i DotProduct(__m512i acc, __m512i codes, __m512i weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(codes), "v"(weights));
  return acc;
}

BITSTAGE_INLINE __m512i BroadcastFour(const uint8_t* codes) {
  int32_t four;
  __builtin_memcpy(&four, codes, sizeof(four));
  return _mm512_set1_epi32(four);
}

// The same two, never moved past each other: for tiles that fill all registers, where a broadcast that comes early
// spills. Their operands are addresses alone: g++ 12 would keep a copy of the accumulators in memory for an operand
// that is memory, in case the two are the same.
BITSTAGE_INLINE __m512i BroadcastFourInOrder(const uint8_t* codes, int64_t offset) {
  __m512i four;
  __asm__ volatile("vpbroadcastd (%1,%2), %0" : "=v"(four) : "r"(codes), "r"(offset));
  return four;
}
BITSTAGE_INLINE __m512i LoadInOrder(const int8_t* from, int64_t offset) {
  __m512i value;
  __asm__ volatile("vmovdqu64 (%1,%2), %0" : "=v"(value) : "r"(from), "r"(offset));
  return value;
}
BITSTAGE_INLINE __m512i DotProductInOrder(__m512i acc, __m512i codes, __m512i weights) {
  __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(codes), "v"(weights));
  return acc;
}
BITSTAGE_INLINE __m512i DotProductInOrder(__m512i acc, __m512i codes, const int8_t* weights, int64_t offset) {
  __asm__ volatile("vpdpbusd (%2,%3), %1, %0" : "+v"(acc) : "v"(codes), "r"(weights), "r"(offset));
  return acc;
}
template <int kOffset>
BITSTAGE_INLINE __m512i DotProductInOrder(__m512i acc, __m512i codes, const int8_t* weights) {
  __asm__ volatile("vpdpbusd %c3(%2), %1, %0" : "+v"(acc) : "v"(codes), "r"(weights), "i"(kOffset));
  return acc;
}

// body(0), body(1), … with constants, so that arrays of registers are never indexed by a variable.
template <int kCount, typename Body>
BITSTAGE_INLINE void Unrolled(Body body) {
  [&]<int... k>(std::integer_sequence<int, k...>) BITSTAGE_INLINED { (body(std::integral_constant<int, k>()), ...); }
  (std::make_integer_sequence<int, kCount>());
}

// The first `count` of 64 lanes of bytes.
BITSTAGE_INLINE __mmask64 FirstBytes(int64_t count) { return count >= 64 ? ~0ull : (1ull << count) - 1; }

BITSTAGE_INLINE __m512i Clamp(__m512i codes, __m512i low, __m512i high) {
  return _mm512_max_epu8(low, _mm512_min_epu8(codes, high));
}

// Sixteen codes as floats; reads 16 bytes.
BITSTAGE_INLINE __m512 LoadCodes(const uint8_t* codes) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))));
}

// The largest symbols that a float may become; below 0 the packing to bytes saturates.
BITSTAGE_INLINE __m512i SymbolsOf(__m512 t, __m512 high) { return _mm512_cvtps_epi32(_mm512_min_ps(t, high)); }

// 4 x 16 symbols to bytes, in each 128-bit lane four of `a`, four of `b`, four of `c` and four of `d`.
BITSTAGE_INLINE __m512i PackInterleaved(__m512i a, __m512i b, __m512i c, __m512i d) {
  return _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
}

// What was packed so, the bytes of `a` first, then those of `b`, `c` and `d`.
BITSTAGE_INLINE __m512i InOrder(__m512i interleaved) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, interleaved);
}

BITSTAGE_INLINE __m512i Pack(__m512i a, __m512i b, __m512i c, __m512i d) {
  return InOrder(PackInterleaved(a, b, c, d));
}

// From accumulators to codes in 16 bits (engine/kernels/words.h), four registers a time: what the first two are
// multiplied by, and the last two. kShift: there may be a shift.
template <bool kShift>
struct WordPacker {
  __m512i first, last;
  __m128i shift;

  // Words of four registers of dwords.
  BITSTAGE_INLINED WordPacker(__m512i a, __m512i b, __m512i c, __m512i d, int by)
      : first(_mm512_packus_epi32(a, b)), last(_mm512_packus_epi32(c, d)), shift(_mm_cvtsi32_si128(by)) {}

  // What packing of 4 x 16 accumulators gives, in the order of PackInterleaved; mask and limit are still to come.
  [[nodiscard]] BITSTAGE_INLINED __m512i Interleaved(__m512i a, __m512i b, __m512i c, __m512i d) const {
    return Bytes(_mm512_packus_epi32(a, b), _mm512_packus_epi32(c, d));
  }
  // The same of two registers that are packed to words already.
  [[nodiscard]] BITSTAGE_INLINED __m512i Bytes(__m512i ab, __m512i cd) const {
    ab = _mm512_mulhi_epu16(ab, first);
    cd = _mm512_mulhi_epu16(cd, last);
    if constexpr (!kShift) return _mm512_packus_epi16(ab, cd);
    return _mm512_packus_epi16(_mm512_srl_epi16(ab, shift), _mm512_srl_epi16(cd, shift));
  }
};

// What WordPacker::Interleaved gives, to codes: the end of words.h's formula.
BITSTAGE_INLINE __m512i WordCode(__m512i bytes, __m512i mask, __m512i high_codes) {
  return _mm512_min_epu8(_mm512_and_si512(bytes, mask), high_codes);
}

// Which of the 64 bytes of a register double for shifts to go past k (OutputTransform::doublings), where the register
// holds kRepeats pixels of 64 / kRepeats channels.
template <int kRepeats>
BITSTAGE_INLINE __mmask64 DoublingOf(const PaddedTransform& transform, int64_t k) {
  const uint64_t mask = transform.doublings[k];
  if constexpr (kRepeats == 2) return (mask & 0xffffffff) * 0x0000000100000001;
  if constexpr (kRepeats == 4) return (mask & 0xffff) * 0x0001000100010001;
  return mask;
}

// Symbols to codes, as bytes: what would be more than 255 becomes 255, which the clamp that follows makes right.
BITSTAGE_INLINE __m512i Doubled(__m512i symbols, __mmask64 doubling) {
  return _mm512_mask_adds_epu8(symbols, doubling, symbols, symbols);
}

}  // namespace bitstage::kernels::avx512_vnni
