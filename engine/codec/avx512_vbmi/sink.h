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
    alignas(64) uint64_t codes[8];
    alignas(64) uint64_t lengths[8];
    _mm512_store_si512(codes, code);
    _mm512_store_si512(lengths, length);
    Append<8>(codes, lengths);
  }
  // 32 EncodeEntries; an entry of zeros is no code.
  inline __attribute__((always_inline)) void AppendEntries(__m512i first, __m512i second) {
    const __m512i even = _mm512_set_epi64(14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i odd = _mm512_set_epi64(15, 13, 11, 9, 7, 5, 3, 1);
    __m512i code_a, length_a, code_b, length_b;
    Join(first, &code_a, &length_a);
    Join(second, &code_b, &length_b);
    const __m512i low = _mm512_permutex2var_epi64(length_a, even, length_b);
    const __m512i high = _mm512_permutex2var_epi64(length_a, odd, length_b);
    const __m512i code = _mm512_or_si512(_mm512_permutex2var_epi64(code_a, even, code_b),
                                         _mm512_sllv_epi64(_mm512_permutex2var_epi64(code_a, odd, code_b), low));
    Append(code, _mm512_add_epi64(low, high));
  }

 private:
  // Two entries of each 64 bits as one code.
  static inline __attribute__((always_inline)) void Join(__m512i entries, __m512i* code, __m512i* length) {
    const __m512i low = _mm512_set1_epi64(0xffff);
    const __m512i length0 = _mm512_and_si512(_mm512_srli_epi64(entries, 16), low);
    const __m512i code1 = _mm512_and_si512(_mm512_srli_epi64(entries, 32), low);
    *code = _mm512_or_si512(_mm512_and_si512(entries, low), _mm512_sllv_epi64(code1, length0));
    *length = _mm512_add_epi64(length0, _mm512_srli_epi64(entries, 48));
  }

  uint8_t* begin_;
  uint8_t* at_;
  uint64_t bits_;
  uint64_t count_;
};

}  // namespace
}  // namespace bitstage::codec::avx512_vbmi
