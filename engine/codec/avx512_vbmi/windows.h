// Where sixteen lanes of a stream stand, with the bits that follow: 128 of each lane come with one load, and shifts
// across two words bring any 32 of them into a register of sixteen lanes.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace bitstage::codec::avx512_vbmi {
namespace {

// What loads from a stream must respect.
struct StreamEnd {
  __m512i last_byte;  // from where sixteen bytes may be read
  __m512i limit;      // where a lane that ran away is held: a bit behind the stream

  // Of a stream of that many bits, at least kLeastBits, with four bytes behind it.
  explicit StreamEnd(int64_t bits)
      : last_byte(_mm512_set1_epi32(static_cast<int>((bits + 7) / 8 + 4 - 16))),
        limit(_mm512_set1_epi32(static_cast<int>(bits + 1))) {}

  static constexpr int64_t kLeastBits = 96;
};

struct Windows {
  static constexpr int kLanes = 16;
  // After Refill(): of each lane. A lane at the stream's end sees what lies behind it, and zeros.
  static constexpr int kValidBits = 121;

  __m512i begin;  // bits from the stream's beginning to low[…]'s first
  __m512i used;   // bits of low[…] and high[…] that are behind a lane
  // 128 bits of each lane: [0] those of the even lanes, [1] of the odd ones.
  __m512i low[2], high[2];

  [[nodiscard]] inline __attribute__((always_inline)) __m512i Position() const { return _mm512_add_epi32(begin, used); }

  // Leaves fewer than 8 bits used.
  inline __attribute__((always_inline)) void Refill(const uint8_t* stream, const StreamEnd& end) {
    const __m512i position = _mm512_min_epu32(Position(), end.limit);
    const __m512i wanted = _mm512_srli_epi32(position, 3);
    const __m512i byte = _mm512_min_epu32(wanted, end.last_byte);
    begin = _mm512_slli_epi32(byte, 3);
    used = _mm512_sub_epi32(position, begin);  // below 128
    __m512i quarters[4];                       // lanes i, i + 4, i + 8, i + 12
    Load(stream, byte, quarters);
    for (int odd = 0; odd < 2; ++odd) {
      low[odd] = _mm512_unpacklo_epi64(quarters[odd], quarters[odd + 2]);
      high[odd] = _mm512_unpackhi_epi64(quarters[odd], quarters[odd + 2]);
    }
    if (_mm512_cmpgt_epu32_mask(wanted, end.last_byte) != 0) Move();
  }

  // The next 32 bits of each lane; fewer than 64 were used.
  [[nodiscard]] inline __attribute__((always_inline)) __m512i NearNext() const {
    return Interleave(_mm512_shrdv_epi64(low[0], high[0], used), _mm512_shrdv_epi64(low[1], high[1], OddUsed()));
  }
  // The same, fewer than 128 used.
  [[nodiscard]] inline __attribute__((always_inline)) __m512i Next() const {
    return Interleave(Shifted(low[0], high[0], used), Shifted(low[1], high[1], OddUsed()));
  }

 private:
  // Begins behind what was used.
  inline __attribute__((always_inline)) void Move() {
    const __m512i word = _mm512_set1_epi64(64);
    for (int odd = 0; odd < 2; ++odd) {
      const __m512i count = odd != 0 ? OddUsed() : used;
      const __mmask8 far = _mm512_test_epi64_mask(count, word);
      low[odd] = _mm512_mask_mov_epi64(low[odd], far, high[odd]);
      high[odd] = _mm512_mask_mov_epi64(high[odd], far, _mm512_setzero_si512());
      low[odd] = _mm512_shrdv_epi64(low[odd], high[odd], count);
      high[odd] = _mm512_shrdv_epi64(high[odd], _mm512_setzero_si512(), count);
    }
    begin = Position();
    used = _mm512_setzero_si512();
  }
  [[nodiscard]] inline __attribute__((always_inline)) __m512i OddUsed() const {
    return _mm512_shuffle_epi32(used, static_cast<_MM_PERM_ENUM>(0xf5));
  }
  static inline __attribute__((always_inline)) __m512i Shifted(__m512i low, __m512i high, __m512i count) {
    const __mmask8 far = _mm512_test_epi64_mask(count, _mm512_set1_epi64(64));
    return _mm512_shrdv_epi64(_mm512_mask_mov_epi64(low, far, high),
                              _mm512_mask_mov_epi64(high, far, _mm512_setzero_si512()), count);
  }
  static inline __attribute__((always_inline)) __m512i Interleave(__m512i even, __m512i odd) {
    return _mm512_mask_shuffle_epi32(even, 0xaaaa, odd, static_cast<_MM_PERM_ENUM>(0xa0));
  }

  // Sixteen bytes at each lane's byte: one by one they take as long as a gather of four each.
  static inline __attribute__((always_inline)) void Load(const uint8_t* stream, __m512i byte, __m512i* quarters) {
    const __m128i bytes[4] = {_mm512_castsi512_si128(byte), _mm512_extracti32x4_epi32(byte, 1),
                              _mm512_extracti32x4_epi32(byte, 2), _mm512_extracti32x4_epi32(byte, 3)};
    uint64_t at[16];
    for (int i = 0; i < 4; ++i) {
      const auto first = static_cast<uint64_t>(_mm_cvtsi128_si64(bytes[i]));
      const auto second = static_cast<uint64_t>(_mm_extract_epi64(bytes[i], 1));
      at[4 * i] = static_cast<uint32_t>(first);
      at[4 * i + 1] = first >> 32;
      at[4 * i + 2] = static_cast<uint32_t>(second);
      at[4 * i + 3] = second >> 32;
    }
    for (int i = 0; i < 4; ++i) {
      const __m256i lower =
          _mm256_inserti128_si256(_mm256_castsi128_si256(At(stream, at[i])), At(stream, at[i + 4]), 1);
      const __m256i upper =
          _mm256_inserti128_si256(_mm256_castsi128_si256(At(stream, at[i + 8])), At(stream, at[i + 12]), 1);
      quarters[i] = _mm512_inserti64x4(_mm512_castsi256_si512(lower), upper, 1);
    }
  }
  static inline __attribute__((always_inline)) __m128i At(const uint8_t* stream, uint64_t byte) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(stream + byte));
  }
};

}  // namespace
}  // namespace bitstage::codec::avx512_vbmi
