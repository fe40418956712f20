// A BitSink in registers, and appends to it of eight words at a time.
#pragma once

#include <immintrin.h>

#include "engine/codec/cell_kernels.h"

namespace bitstage::codec::avx512_vbmi {
namespace {

inline constexpr int kMaxAppend = 56;  // bits: with the seven that a sink holds they leave a shift below 64

class Sink {
 public:
  explicit Sink(const BitSink& from)
      : begin_(from.at), at_(from.at), bits_(from.bits), count_(static_cast<uint64_t>(from.count)) {}
  void Leave(BitSink& to) const { to = {at_, bits_, static_cast<int>(count_)}; }

  [[nodiscard]] const uint8_t* at() const { return at_; }
  [[nodiscard]] int64_t position() const { return 8 * (at_ - begin_) + static_cast<int64_t>(count_); }

  // `number` codes of at most kMaxAppend bits; writes up to eight bytes behind the last.
  template <int number, typename Word>
  inline __attribute__((always_inline)) void Append(const Word* codes, const Word* lengths) {
    uint8_t* at = at_;  // in registers: stores through `at` might change what a member holds
    uint64_t bits = bits_;
    uint64_t count = count_;
#pragma GCC unroll 16
    for (int i = 0; i < number; ++i) {
      bits |= uint64_t{codes[i]} << count;
      count += lengths[i];
      __builtin_memcpy(at, &bits, sizeof(bits));
      at += count >> 3;
      bits >>= count & ~uint64_t{7};
      count &= 7;
    }
    at_ = at;
    bits_ = bits;
    count_ = count;
  }
  // Eight of them, 64 bits a code and a length.
  inline __attribute__((always_inline)) void Append(__m512i code, __m512i length) {
    const __m512i beyond = _mm512_sub_epi64(length, _mm512_set1_epi64(kBitsOfByte));
    if (_mm512_cmpgt_epu64_mask(beyond, _mm512_set1_epi64(kMaxAppend - kBitsOfByte)) == 0) {
      AppendWhole(code, length);
      return;
    }
    alignas(64) uint64_t codes[8];
    alignas(64) uint64_t lengths[8];
    _mm512_store_si512(codes, code);
    _mm512_store_si512(lengths, length);
    Append<8>(codes, lengths);
  }
  // 64 EncodeEntries; an entry of zeros is no code. Nothing more than 32 of them behind `limit`.
  inline __attribute__((always_inline)) void AppendEntries(const __m512i* entries, const uint8_t* limit) {
    __m512i code[2];
    __m512i length[2];
    for (int i = 0; i < 2; ++i) {
      __m512i code_a, length_a, code_b, length_b;
      Join(entries[2 * i], &code_a, &length_a);
      Join(entries[2 * i + 1], &code_b, &length_b);
      JoinNeighbours(code_a, length_a, code_b, length_b, &code[i], &length[i]);
    }
    __m512i all_code, all_length;
    JoinNeighbours(code[0], length[0], code[1], length[1], &all_code, &all_length);
    if (_mm512_cmpgt_epu64_mask(all_length, _mm512_set1_epi64(kMaxAppend)) == 0) {
      Append(all_code, all_length);
      return;
    }
    Append(code[0], length[0]);
    if (at_ <= limit) Append(code[1], length[1]);
  }

 private:
  static constexpr int kBitsOfByte = 8;

  // Eight codes of kBitsOfByte to kMaxAppend bits: each brings the bits of a byte that it shares with the next,
  // whatever it shares with the last.
  inline __attribute__((always_inline)) void AppendWhole(__m512i code, __m512i length) {
    const __m128i lengths = _mm512_cvtepi64_epi16(length);
    __m128i sums = _mm_add_epi16(lengths, _mm_slli_si128(lengths, 2));
    sums = _mm_add_epi16(sums, _mm_slli_si128(sums, 4));
    sums = _mm_add_epi16(sums, _mm_slli_si128(sums, 8));
    const __m128i begins = _mm_add_epi16(_mm_sub_epi16(sums, lengths), _mm_set1_epi16(static_cast<int16_t>(count_)));
    const __m512i within = _mm512_and_si512(_mm512_cvtepu16_epi64(begins), _mm512_set1_epi64(7));
    __m512i words = _mm512_sllv_epi64(code, within);
    const __m512i left =
        _mm512_srlv_epi64(words, _mm512_and_si512(_mm512_add_epi64(within, length), _mm512_set1_epi64(~7)));
    const __m512i before = _mm512_set1_epi64(static_cast<int64_t>(bits_));
    words = _mm512_or_si512(words, _mm512_alignr_epi64(left, before, 7));

    const __m128i bytes = _mm_srli_epi16(begins, 3);
    const auto offsets = static_cast<uint64_t>(_mm_cvtsi128_si64(_mm_packus_epi16(bytes, bytes)));
    StorePair(_mm512_castsi512_si128(words), offsets);
    StorePair(_mm512_extracti32x4_epi32(words, 1), offsets >> 16);
    StorePair(_mm512_extracti32x4_epi32(words, 2), offsets >> 32);
    const __m128i last = _mm512_extracti32x4_epi32(left, 3);
    StorePair(_mm512_extracti32x4_epi32(words, 3), offsets >> 48);
    const uint64_t end = count_ + static_cast<uint64_t>(_mm_extract_epi16(sums, 7));
    at_ += end >> 3;
    bits_ = static_cast<uint64_t>(_mm_extract_epi64(last, 1));
    count_ = end & 7;
  }
  struct __attribute__((packed, may_alias)) AnyDouble {  // _mm_storeh_pd may only store to aligned ones
    double value;
  };
  inline __attribute__((always_inline)) void StorePair(__m128i words, uint64_t offsets) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(at_ + (offsets & 255)), words);
    reinterpret_cast<AnyDouble*>(at_ + (offsets >> 8 & 255))->value = _mm_castsi128_pd(words)[1];
  }

  // Two entries of each 64 bits as one code.
  static inline __attribute__((always_inline)) void Join(__m512i entries, __m512i* code, __m512i* length) {
    const __m512i low = _mm512_set1_epi64(0xffff);
    const __m512i length0 = _mm512_and_si512(_mm512_srli_epi64(entries, 16), low);
    const __m512i code1 = _mm512_and_si512(_mm512_srli_epi64(entries, 32), low);
    *code = _mm512_or_si512(_mm512_and_si512(entries, low), _mm512_sllv_epi64(code1, length0));
    *length = _mm512_add_epi64(length0, _mm512_srli_epi64(entries, 48));
  }

  // Words i and i + 1 of a and b together as one.
  static inline __attribute__((always_inline)) void JoinNeighbours(__m512i code_a, __m512i length_a, __m512i code_b,
                                                                   __m512i length_b, __m512i* code, __m512i* length) {
    const __m512i even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
    const __m512i low = _mm512_permutex2var_epi64(length_a, even, length_b);
    const __m512i high = _mm512_permutex2var_epi64(length_a, odd, length_b);
    *code = _mm512_or_si512(_mm512_permutex2var_epi64(code_a, even, code_b),
                            _mm512_sllv_epi64(_mm512_permutex2var_epi64(code_a, odd, code_b), low));
    *length = _mm512_add_epi64(low, high);
  }

  uint8_t* begin_;
  uint8_t* at_;
  uint64_t bits_;
  uint64_t count_;
};

}  // namespace
}  // namespace bitstage::codec::avx512_vbmi
