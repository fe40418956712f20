#include "engine/base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace bitstage {
namespace {

// Entry b: the remainder after the byte b, bits reversed as the standard has them.
constexpr std::array<uint32_t, 256> kTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit) remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? 0x82f63b78u : 0u);
    table[byte] = remainder;
  }
  return table;
}();

#if defined(__x86_64__)
// x^power modulo the polynomial, bits reversed.
constexpr uint32_t PowerOfX(int power) {
  uint32_t remainder = 0x80000000u;  // 1
  for (int i = 0; i < power; ++i) remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? 0x82f63b78u : 0u);
  return remainder;
}

// The checksum after `bytes` more zero bytes. The product of two reversed words of 32 bits stands one bit low in its
// 64, and the instruction multiplies by x^32: 33 powers less to bring along.
template <size_t bytes>
__attribute__((target("sse4.2,pclmul"))) uint64_t ShiftedBy(uint64_t crc) {
  constexpr uint32_t kPower = PowerOfX(8 * static_cast<int>(bytes) - 33);
  const __m128i product =
      _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(crc)), _mm_cvtsi64_si128(int64_t{kPower}), 0);
  return _mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(product)));
}

// The instruction takes three cycles and can begin one every cycle: three runs of `run` bytes side by side.
template <size_t run>
__attribute__((target("sse4.2,pclmul"))) uint64_t ExtendInThrees(uint64_t crc, std::span<const std::byte>& bytes) {
  for (; bytes.size() >= 3 * run; bytes = bytes.subspan(3 * run)) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (size_t i = 0; i < run; i += 8) {
      uint64_t words[3];
      for (size_t k = 0; k < 3; ++k) std::memcpy(&words[k], bytes.data() + k * run + i, sizeof(uint64_t));
      crc = _mm_crc32_u64(crc, words[0]);
      second = _mm_crc32_u64(second, words[1]);
      third = _mm_crc32_u64(third, words[2]);
    }
    crc = ShiftedBy<2 * run>(crc) ^ ShiftedBy<run>(second) ^ third;
  }
  return crc;
}

#define BITSTAGE_WIDE_TARGET __attribute__((target("avx512f,avx512vl,vpclmulqdq,sse4.2,pclmul")))

// What 16 bytes count for `bits` bits before the end of what follows them, for each 16 of 64. The product of two
// reversed words of 64 bits stands one bit low in its 128: a power less to bring along.
template <int bits>
BITSTAGE_WIDE_TARGET inline __m512i Folded(__m512i sums) {
  constexpr auto kFirst = static_cast<int64_t>(uint64_t{PowerOfX(bits + 63)} << 32);
  constexpr auto kSecond = static_cast<int64_t>(uint64_t{PowerOfX(bits - 1)} << 32);
  const __m512i powers = _mm512_set_epi64(kSecond, kFirst, kSecond, kFirst, kSecond, kFirst, kSecond, kFirst);
  return _mm512_xor_si512(_mm512_clmulepi64_epi128(sums, powers, 0x00), _mm512_clmulepi64_epi128(sums, powers, 0x11));
}

// Whole 256 bytes by carry-less products: twice as fast as the instruction. Sums of 64 bytes come to stand for all
// bytes before them.
BITSTAGE_WIDE_TARGET uint64_t ExtendByProducts(uint64_t crc, std::span<const std::byte>& bytes) {
  constexpr size_t kSums = 4;
  __m512i sums[kSums];
  for (size_t i = 0; i < kSums; ++i) sums[i] = _mm512_loadu_si512(bytes.data() + 64 * i);
  sums[0] = _mm512_xor_si512(sums[0], _mm512_zextsi128_si512(_mm_cvtsi64_si128(static_cast<int64_t>(crc))));
  for (bytes = bytes.subspan(64 * kSums); bytes.size() >= 64 * kSums; bytes = bytes.subspan(64 * kSums)) {
    for (size_t i = 0; i < kSums; ++i) {
      sums[i] = _mm512_xor_si512(Folded<512 * kSums>(sums[i]), _mm512_loadu_si512(bytes.data() + 64 * i));
    }
  }
  for (size_t i = 1; i < kSums; ++i) sums[i] = _mm512_xor_si512(Folded<512>(sums[i - 1]), sums[i]);
  alignas(64) uint64_t words[8];
  _mm512_store_si512(words, sums[kSums - 1]);
  crc = 0;
  for (const uint64_t word : words) crc = _mm_crc32_u64(crc, word);
  return crc;
}

__attribute__((target("sse4.2,pclmul"))) uint32_t ExtendBySse42(uint32_t crc, std::span<const std::byte> bytes) {
  static const bool is_wide = __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("vpclmulqdq") != 0;
  uint64_t wide = crc;
  if (is_wide && bytes.size() >= 256) wide = ExtendByProducts(wide, bytes);
  wide = ExtendInThrees<64>(ExtendInThrees<1024>(wide, bytes), bytes);
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof(word));
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (const std::byte byte : bytes) crc = _mm_crc32_u8(crc, std::to_integer<uint8_t>(byte));
  return crc;
}
#endif

}  // namespace

uint32_t Crc32c(std::span<const std::byte> bytes) {
#if defined(__x86_64__)
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
  if (has_instruction) return ~ExtendBySse42(~0u, bytes);
#endif
  return Crc32cByTable(bytes);
}

uint32_t Crc32cByTable(std::span<const std::byte> bytes) {
  uint32_t crc = ~0u;
  for (const std::byte byte : bytes) crc = (crc >> 8) ^ kTable[(crc ^ std::to_integer<uint32_t>(byte)) & 0xff];
  return ~crc;
}

}  // namespace bitstage
