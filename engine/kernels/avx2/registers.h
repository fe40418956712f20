// What the kernels of this tier share in registers: loads, unrolling by the compiler, and the sums of a register tile.
// Only for files of this tier, which are all compiled with the same flags.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "engine/kernels/packed_weights.h"

namespace bitstage::kernels::avx2 {

#define BITSTAGE_INLINE __attribute__((always_inline)) static inline

BITSTAGE_INLINE __m256i Load(const void* at) { return _mm256_loadu_si256(static_cast<const __m256i*>(at)); }
BITSTAGE_INLINE void Store(void* at, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(at), v); }

// Four bytes in every lane.
BITSTAGE_INLINE __m256i BroadcastStep(const void* codes) {
  int32_t step;
  __builtin_memcpy(&step, codes, sizeof(step));
  return _mm256_set1_epi32(step);
}

// Eight codes as floats; reads 8 bytes.
BITSTAGE_INLINE __m256 LoadCodes(const uint8_t* codes) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes))));
}

// The low words of 16 symbols in order.
BITSTAGE_INLINE __m256i PackWords(__m256i a, __m256i b) {
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}

// 16 words as bytes, below 0 and above 255 as these.
BITSTAGE_INLINE __m128i PackBytes(__m256i words) {
  return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

// 32 weights of a chunk (packed_weights.h) of its vector `index`.
template <int kWidth>
BITSTAGE_INLINE __m256i OpenHalf(const uint8_t* chunk, int index, __m256i table) {
  const __m256i bytes = Load(chunk);
  if constexpr (kWidth == 8) return bytes;
  const __m256i indices = _mm256_srl_epi16(bytes, _mm_cvtsi32_si128(index * kWidth));
  return _mm256_shuffle_epi8(table, _mm256_and_si256(indices, _mm256_set1_epi8((1 << kWidth) - 1)));
}

BITSTAGE_INLINE __m256i LoadTable(const PackedView& packed, int64_t section) {
  const auto* table = reinterpret_cast<const __m128i*>(packed.tables + section * kPackedTable);
  return _mm256_broadcastsi128_si256(_mm_loadu_si128(table));
}

// How a step, four bytes of codes in every lane, meets a register of weights, and what the sums are meanwhile. g++ 12
// spills accumulators that go through the intrinsics.

// Four products a lane of u8 and s8; sums of two in 16 bits, for as many steps as they surely fit there.
struct Pairs {
  static constexpr bool kFlushes = true;

  __attribute__((always_inline)) static __m256i Start(const int32_t*) { return _mm256_setzero_si256(); }
  __attribute__((always_inline)) static __m256i Add(__m256i sum, __m256i codes, __m256i weights) {
    __m256i products;
    __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(sum), "=&x"(products) : "x"(codes), "x"(weights));
    return sum;
  }
  // Made anew for every use: kept, it would push a sum out of the registers.
  __attribute__((always_inline)) static __m256i Ones() {
    __m256i ones;
    __asm__ volatile("vpcmpeqw %0, %0, %0\n\tvpsrlw $15, %0, %0" : "=x"(ones));
    return ones;
  }
  __attribute__((always_inline)) static __m256i Total(__m256i sum, __m256i ones, const int32_t* before) {
    return _mm256_add_epi32(Load(before), _mm256_madd_epi16(sum, ones));
  }
};

// Two products a lane of 16-bit numbers.
struct Words {
  static constexpr bool kFlushes = false;

  __attribute__((always_inline)) static __m256i Start(const int32_t* start) { return Load(start); }
  __attribute__((always_inline)) static __m256i Add(__m256i sum, __m256i codes, __m256i weights) {
    __m256i products;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0" : "+x"(sum), "=&x"(products) : "x"(codes), "x"(weights));
    return sum;
  }
  __attribute__((always_inline)) static __m256i Ones() { return _mm256_setzero_si256(); }
  __attribute__((always_inline)) static __m256i Total(__m256i sum, __m256i, const int32_t*) { return sum; }
};

// The sums of kPixels x kBlocks · 8 outputs.
template <typename Form, int kPixels, int kBlocks>
struct Sums {
  __m256i sum[kPixels][kBlocks];

  __attribute__((always_inline)) void Start(const int32_t* start) {
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 4
      for (int b = 0; b < kBlocks; ++b) sum[i][b] = Form::Start(start + b * 8);
    }
  }
  __attribute__((always_inline)) void AddStep(const __m256i (&weights)[kBlocks], int i, __m256i codes) {
#pragma GCC unroll 4
    for (int b = 0; b < kBlocks; ++b) sum[i][b] = Form::Add(sum[i][b], codes, weights[b]);
  }
  // A pixel's numbers of `before` and of `acc` begin so many after the last one's.
  __attribute__((always_inline)) void Finish(const int32_t* before, int64_t before_stride, int32_t* acc,
                                             int64_t acc_stride) const {
    const __m256i ones = Form::Ones();
#pragma GCC unroll 16
    for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 4
      for (int b = 0; b < kBlocks; ++b) {
        Store(acc + i * acc_stride + b * 8, Form::Total(sum[i][b], ones, before + i * before_stride + b * 8));
      }
    }
  }
};

}  // namespace bitstage::kernels::avx2
