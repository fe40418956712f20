// The 64 bytes of a depthwise column (engine/kernels/depthwise_columns.h) on their way in and out: those of one pixel,
// or of a pixel of each part. Only for files of this tier.
#pragma once

#include "engine/kernels/avx512_vnni/registers.h"
#include "engine/kernels/depthwise_columns.h"

namespace bitstage::kernels::avx512_vnni {

inline constexpr int64_t kBlock = 64;

// 64 / kParts bytes of every part's pixel in one row.
template <int kParts>
BITSTAGE_INLINE __m512i LoadParts(const uint8_t* const (&part)[kMaxColumnParts], int64_t offset) {
  if constexpr (kParts == 1) return _mm512_loadu_si512(part[0] + offset);
  if constexpr (kParts == 2) {
    const __m512i low = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(part[0] + offset)));
    return _mm512_inserti64x4(low, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(part[1] + offset)), 1);
  }
  const auto load = [&](int k) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(part[k] + offset)); };
  const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(load(0)), load(1), 1);
  const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(load(2)), load(3), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

// Codes of an output of every part, in the order of channels. `to`: where each part's go.
template <int kParts>
BITSTAGE_INLINE void StoreParts(uint8_t* const* to, int64_t offset, int64_t channels, __m512i codes) {
  if constexpr (kParts == 1) {
    if (channels == kBlock) return _mm512_storeu_si512(to[0] + offset, codes);
    _mm512_mask_storeu_epi8(to[0] + offset, FirstBytes(channels), codes);
  } else if constexpr (kParts == 2) {
    const auto lanes = static_cast<__mmask32>(FirstBytes(channels));
    _mm256_mask_storeu_epi8(to[0] + offset, lanes, _mm512_castsi512_si256(codes));
    _mm256_mask_storeu_epi8(to[1] + offset, lanes, _mm512_extracti64x4_epi64(codes, 1));
  } else {
    const auto lanes = static_cast<__mmask16>(FirstBytes(channels));
    _mm_mask_storeu_epi8(to[0] + offset, lanes, _mm512_castsi512_si128(codes));
    _mm_mask_storeu_epi8(to[1] + offset, lanes, _mm512_extracti32x4_epi32(codes, 1));
    _mm_mask_storeu_epi8(to[2] + offset, lanes, _mm512_extracti32x4_epi32(codes, 2));
    _mm_mask_storeu_epi8(to[3] + offset, lanes, _mm512_extracti32x4_epi32(codes, 3));
  }
}

// Symbols of some outputs, as bytes, to codes.
template <int kCount>
BITSTAGE_INLINE void ToCodes(const PaddedTransform& transform, __m512i (&bytes)[kCount]) {
  for (int64_t k = 0; k < transform.doubling_count; ++k) {
    const __mmask64 doubling = DoublingOf<1>(transform, k);
    Unrolled<kCount>([&](auto i) __attribute__((always_inline)) { bytes[i] = Doubled(bytes[i], doubling); });
  }
  const __m512i low = _mm512_loadu_si512(transform.low_codes);
  const __m512i high = _mm512_loadu_si512(transform.high_codes);
  Unrolled<kCount>([&](auto i) __attribute__((always_inline)) { bytes[i] = Clamp(bytes[i], low, high); });
}

// What WordPacker::Interleaved gives of some outputs, to codes.
template <int kCount>
BITSTAGE_INLINE void WordsToCodes(const uint8_t* masks, const uint8_t* high_codes, __m512i (&bytes)[kCount]) {
  const __m512i mask = _mm512_loadu_si512(masks);
  const __m512i high = _mm512_loadu_si512(high_codes);
  Unrolled<kCount>([&](auto i) __attribute__((always_inline)) { bytes[i] = WordCode(bytes[i], mask, high); });
}

template <bool kShift>
BITSTAGE_INLINE WordPacker<kShift> PackerOf(const int32_t* words, int shift) {
  return {_mm512_loadu_si512(words), _mm512_loadu_si512(words + 16), _mm512_loadu_si512(words + 32),
          _mm512_loadu_si512(words + 48), shift};
}

// depthwise_window_conv.cc
void RunWindow(const ColumnWindow& window);

}  // namespace bitstage::kernels::avx512_vnni
