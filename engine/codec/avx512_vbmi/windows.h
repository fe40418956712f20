// Where 32 lanes of a stream stand, with the bits that follow: 128 of each lane come with one load, and shifts across
// two words bring any 32 of them into two registers of 32 words.
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

// Constants that stay in mask registers: the compiler would make them anew at each use.
struct Masks {
  __mmask16 odd_dwords = 0xaaaa;
  __mmask64 odd_bytes = 0xaaaaaaaaaaaaaaaau;
  __mmask64 upper_words = 0xccccccccccccccccu;  // of 32 bits
  __mmask64 lower_words = 0x3333333333333333u;

  Masks() { __asm__("" : "+Yk"(odd_dwords), "+Yk"(odd_bytes), "+Yk"(upper_words), "+Yk"(lower_words)); }

  // Of two registers of bytes in words the lower bytes, the first's lower.
  [[nodiscard]] inline __attribute__((always_inline)) __m512i LowerBytes(__m512i first, __m512i second) const {
    return _mm512_mask_shuffle_epi8(first, odd_bytes, second, _mm512_load_si512(kSwappedBytes));
  }
  // Of two registers of words in 32 bits the lower words, the first's lower; and the upper ones.
  [[nodiscard]] inline __attribute__((always_inline)) __m512i LowerWords(__m512i first, __m512i second) const {
    return _mm512_mask_shuffle_epi8(first, upper_words, second, _mm512_load_si512(kSwappedWords));
  }
  [[nodiscard]] inline __attribute__((always_inline)) __m512i UpperWords(__m512i first, __m512i second) const {
    return _mm512_mask_shuffle_epi8(second, lower_words, first, _mm512_load_si512(kSwappedWords));
  }

 private:
#define BITSTAGE_FOUR_TIMES(...) __VA_ARGS__, __VA_ARGS__, __VA_ARGS__, __VA_ARGS__
  alignas(64) static constexpr uint8_t kSwappedBytes[64] = {
      BITSTAGE_FOUR_TIMES(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)};
  alignas(64) static constexpr uint8_t kSwappedWords[64] = {
      BITSTAGE_FOUR_TIMES(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)};
#undef BITSTAGE_FOUR_TIMES
};

// Numbers of lanes stand in the lower bytes of words; upper bytes may hold anything. Lanes 0 to 15 are the lower words
// of 32 bits, lanes 16 to 31 the upper.
class Windows {
 public:
  static constexpr int kLanes = 32;

  // positions: bits from the stream's beginning, kLanes of them.
  void Begin(const uint32_t* positions) {
#pragma GCC unroll 4
    for (int half = 0; half < 2; ++half) begin_[half] = _mm512_load_si512(positions + half * kLanes / 2);
    moved_ = used_ = _mm512_setzero_si512();
  }
  void Leave(uint32_t* positions) const {
    __m512i position[2];
    Positions(position);
#pragma GCC unroll 4
    for (int half = 0; half < 2; ++half) _mm512_store_si512(positions + half * kLanes / 2, position[half]);
  }

  // Loads what follows: at least 121 bits a lane. A lane at the stream's end sees what lies behind it, and zeros.
  inline __attribute__((always_inline)) void Refill(const uint8_t* stream, const StreamEnd& end, const Masks& masks) {
    __m512i position[2];
    Positions(position);
    alignas(64) uint32_t at[kLanes];
    __m512i left[2];
    __mmask16 is_late = 0;
#pragma GCC unroll 4
    for (int half = 0; half < 2; ++half) {
      const __m512i held = _mm512_min_epu32(position[half], end.limit);
      const __m512i wanted = _mm512_srli_epi32(held, 3);
      const __m512i byte = _mm512_min_epu32(wanted, end.last_byte);
      _mm512_store_si512(at + half * kLanes / 2, byte);
      begin_[half] = _mm512_slli_epi32(byte, 3);
      left[half] = _mm512_sub_epi32(held, begin_[half]);  // below 128
      is_late |= _mm512_cmpgt_epu32_mask(wanted, end.last_byte);
    }
    // Through memory: taken out of registers one by one they would wait for each other.
    __asm__("" : "+m"(at));
    used_ = _mm512_or_si512(left[0], _mm512_slli_epi32(left[1], 16));
    moved_ = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (int half = 0; half < 2; ++half) {
      __m512i quarters[4];  // lanes i, i + 4, i + 8, i + 12
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) quarters[i] = Load(stream, at + half * kLanes / 2 + i);
#pragma GCC unroll 4
      for (int odd = 0; odd < 2; ++odd) {
        low_[2 * odd + half] = _mm512_unpacklo_epi64(quarters[odd], quarters[odd + 2]);
        high_[2 * odd + half] = _mm512_unpackhi_epi64(quarters[odd], quarters[odd + 2]);
      }
    }
    if (is_late != 0) {
      Drop(masks);
      Drop(masks);
    }
  }

  // The next 32 bits of each lane, the first of them in `lower`. Fewer than 64 may have been used since the refill, or
  // since Next<true>, which drops them: 128 are there after a refill at most.
  template <bool drop>
  inline __attribute__((always_inline)) void Next(const Masks& masks, __m512i* lower, __m512i* upper) {
    __m512i words[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const __m512i count = Used(i);
      words[i] = _mm512_shrdv_epi64(low_[i], high_[i], count);
      if constexpr (drop) {
        low_[i] = words[i];
        high_[i] = _mm512_shrdv_epi64(high_[i], _mm512_setzero_si512(), count);
      }
    }
    if constexpr (drop) {
      moved_ = _mm512_add_epi16(moved_, used_);
      used_ = _mm512_setzero_si512();
    }
    const auto even_and_odd = [&](__m512i even, __m512i odd) __attribute__((always_inline)) {
      return _mm512_mask_shuffle_epi32(even, masks.odd_dwords, odd, static_cast<_MM_PERM_ENUM>(0xa0));
    };
    const __m512i first = even_and_odd(words[0], words[2]);
    const __m512i second = even_and_odd(words[1], words[3]);
    *lower = masks.LowerWords(first, second);
    *upper = masks.UpperWords(first, second);
  }
  inline __attribute__((always_inline)) void Use(__m512i bits) {
    used_ = _mm512_add_epi16(used_, bits);
    // In this order: a tree of sums would keep the last length waiting, and all look-ups after it.
    __asm__("" : "+v"(used_));
  }

 private:
  inline __attribute__((always_inline)) void Positions(__m512i* position) const {
    const __m512i words = _mm512_add_epi16(moved_, used_);
    position[0] = _mm512_and_si512(words, _mm512_set1_epi32(0xff));
    position[1] = _mm512_and_si512(_mm512_srli_epi32(words, 16), _mm512_set1_epi32(0xff));
#pragma GCC unroll 4
    for (int half = 0; half < 2; ++half) position[half] = _mm512_add_epi32(position[half], begin_[half]);
  }
  // What was used of low_[i], in the lower six bits of 64.
  [[nodiscard]] inline __attribute__((always_inline)) __m512i Used(int i) const {
    return i == 0 ? used_ : _mm512_srli_epi64(used_, static_cast<unsigned>(16 * i));
  }
  // Drops what was used, at most 63 bits. Requires zeros in upper bytes.
  inline __attribute__((always_inline)) void Drop(const Masks& masks) {
    const __m512i used = _mm512_min_epu16(used_, _mm512_set1_epi16(63));
    const __m512i later = _mm512_sub_epi16(used_, used);
    used_ = used;
    __m512i unused[2];
    Next<true>(masks, &unused[0], &unused[1]);
    used_ = later;
  }
  // Sixteen bytes from at[0], [4], [8] and [12] on: one by one they take as long as a gather of four each.
  static inline __attribute__((always_inline)) __m512i Load(const uint8_t* stream, const uint32_t* at) {
    __m512i all = _mm512_zextsi128_si512(At(stream, at[0]));
    all = _mm512_mask_broadcast_i32x4(all, 0x00f0, At(stream, at[4]));
    all = _mm512_mask_broadcast_i32x4(all, 0x0f00, At(stream, at[8]));
    return _mm512_mask_broadcast_i32x4(all, 0xf000, At(stream, at[12]));
  }
  static inline __attribute__((always_inline)) __m128i At(const uint8_t* stream, uint32_t byte) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(stream + byte));
  }

  __m512i begin_[2];  // 32 bits a lane: from the stream's beginning to what was first loaded
  __m512i moved_;     // bits that were dropped since
  __m512i used_;      // bits of low_[…] and high_[…] that are behind a lane
  // 128 bits of each lane whose word is the i-th of four.
  __m512i low_[4], high_[4];
};

}  // namespace
}  // namespace bitstage::codec::avx512_vbmi
