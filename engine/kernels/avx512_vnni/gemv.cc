#include "engine/kernels/gemv.h"

#include <immintrin.h>

#include <utility>

#include "engine/kernels/avx512_vnni/avx512_vnni.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

// acc + the products of four u8 fields and four s8 codes a lane. g++ 12 spills
// accumulators that go through the intrinsic.
__attribute__((always_inline)) inline __m512i DotProduct(__m512i acc, __m512i fields, __m512i codes) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(fields), "v"(codes));
  return acc;
}

// How far ahead weights are fetched: hides the L3 cache behind 2-bit fields,
// where it is worth an eighth.
constexpr int64_t kPrefetchBytes = 2048;

template <int kCount, typename Body>
__attribute__((always_inline)) inline void Unrolled(Body body) {
  [&]<int... k>(std::integer_sequence<int, k...>) { (body(std::integral_constant<int, k>()), ...); }
  (std::make_integer_sequence<int, kCount>());
}

// The fields are masked out where they stand, which multiplies them by a power
// of two: the accumulator of each is shifted back once at the end. (As unsigned
// bytes: they are vpdpbusd's first operand, the codes its signed one.)
template <int kBits, int kBlocks>
void MicroKernel(const GemvTile& tile) {
  constexpr int kFields = 8 / kBits;
  __m512i acc[kBlocks][kFields];
  __m512i mask[kFields];
  Unrolled<kFields>([&](auto j) {
    mask[j] = _mm512_set1_epi8(static_cast<char>(((1 << kBits) - 1) << (kBits * j)));
    Unrolled<kBlocks>([&](auto b) { acc[b][j] = _mm512_setzero_si512(); });
  });
  const std::byte* weights = tile.weights;
  const uint8_t* codes = tile.codes;
  for (int64_t step = 0; step < tile.steps; ++step, weights += kBlocks * 64, codes += kFields * 4) {
    __m512i four[kFields];
    Unrolled<kFields>([&](auto j) {
      int32_t bytes;
      __builtin_memcpy(&bytes, codes + 4 * j, sizeof(bytes));
      four[j] = _mm512_set1_epi32(bytes);
    });
    Unrolled<kBlocks>([&](auto b) {
      const __m512i packed = _mm512_loadu_si512(weights + b * 64);
      _mm_prefetch(reinterpret_cast<const char*>(weights) + b * 64 + kPrefetchBytes, _MM_HINT_T0);
      Unrolled<kFields>([&](auto j) {
        const __m512i fields = kFields == 1 ? packed : _mm512_and_si512(packed, mask[j]);
        acc[b][j] = DotProduct(acc[b][j], fields, four[j]);
      });
    });
  }
  Unrolled<kBlocks>([&](auto b) {
    __m512i sum = _mm512_loadu_si512(tile.acc + 16 * b);
    Unrolled<kFields>([&](auto j) { sum = _mm512_add_epi32(sum, _mm512_srai_epi32(acc[b][j], kBits * j)); });
    _mm512_storeu_si512(tile.acc + 16 * b, sum);
  });
}

// u − 128 as a signed byte is u with its highest bit turned.
int32_t Prepare(const uint8_t* codes, int64_t count, uint8_t* prepared) {
  const __m512i half = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i sum = _mm512_setzero_si512();
  for (int64_t i = 0; i < count; i += 64) {
    const __mmask64 lanes = count - i >= 64 ? ~0ull : (1ull << (count - i)) - 1;
    const __m512i u = _mm512_maskz_loadu_epi8(lanes, codes + i);
    sum = _mm512_add_epi64(sum, _mm512_sad_epu8(u, _mm512_setzero_si512()));
    _mm512_storeu_si512(prepared + i, _mm512_maskz_mov_epi8(lanes, _mm512_xor_si512(u, half)));
  }
  int64_t parts[8];
  _mm512_storeu_si512(parts, sum);
  int64_t total = -128 * count;
  for (const int64_t part : parts) total += part;
  return static_cast<int32_t>(total);
}

// A tile has at most 16 accumulators: 4 registers of outputs at 2 bits, 8 at
// more.
template <int kBits, int... kBlocks>
constexpr GemvTier::Width WidthOf(double macs_per_cycle, std::integer_sequence<int, kBlocks...>) {
  return {kBits, sizeof...(kBlocks), macs_per_cycle, {MicroKernel<kBits, kBlocks + 1>...}};
}

constexpr GemvTier kTier = {
    16,
    128,
    {WidthOf<2>(110, std::make_integer_sequence<int, 4>()), WidthOf<4>(65, std::make_integer_sequence<int, 8>()),
     WidthOf<8>(45, std::make_integer_sequence<int, 8>())},
    Prepare,
    Transform,
};

}  // namespace

constinit const ConvKernel kGemv = {
    "vnni_gemv",
    [](const ConvShape& shape, int, int max_weight) { return GemvSupports(kTier, shape, max_weight); },
    [](const ConvShape& shape, int, int max_weight) { return GemvCycles(kTier, shape, max_weight); },
    [](const ConvShape& shape, const int8_t* weights) { return GemvPackedBytes(kTier, shape, weights); },
    [](const ConvShape& shape, const int8_t* weights, std::byte* packed) { GemvPack(kTier, shape, weights, packed); },
    [](const ConvShape& shape) { return GemvScratchBytes(kTier, shape); },
    [](const ConvShape& shape, const ConvCall& call) { GemvRun(kTier, shape, call); },
};

}  // namespace bitstage::kernels::avx512_vnni
