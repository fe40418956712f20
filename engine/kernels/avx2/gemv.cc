#include "engine/kernels/gemv.h"

#include <immintrin.h>

#include <utility>

#include "engine/kernels/avx2/avx2.h"

namespace bitstage::kernels::avx2 {
namespace {

template <int kCount, typename Body>
__attribute__((always_inline)) inline void Unrolled(Body body) {
  [&]<int... k>(std::integer_sequence<int, k...>) { (body(std::integral_constant<int, k>()), ...); }
  (std::make_integer_sequence<int, kCount>());
}

__attribute__((always_inline)) inline __m256i BroadcastFour(const uint8_t* codes) {
  int32_t four;
  __builtin_memcpy(&four, codes, sizeof(four));
  return _mm256_set1_epi32(four);
}

__attribute__((always_inline)) inline __m256i Load(const void* bytes) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(bytes));
}

// One step: the fields of a register of weights meet the codes of their channels, and pairs of products are added in
// 16 bits. `sum` holds them as they are, `sum_of_fours` those whose fields stand two bits up in their byte.
template <int kBits>
struct Form;

template <>
struct Form<2> {
  static constexpr int kStepsInWords = 4;  // 4 steps · 2 registers · 8 · 255 · 2 = 32640, and no field is 3

  __attribute__((always_inline)) static void Multiply(__m256i packed, const __m256i (&four)[4], __m256i& sum,
                                                      __m256i& sum_of_fours) {
    const __m256i ones = _mm256_set1_epi8(0x03);
    const __m256i fours = _mm256_set1_epi8(0x0c);
    const __m256i upper = _mm256_srli_epi16(packed, 4);
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(four[0], _mm256_and_si256(packed, ones)));
    sum_of_fours = _mm256_add_epi16(sum_of_fours, _mm256_maddubs_epi16(four[1], _mm256_and_si256(packed, fours)));
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(four[2], _mm256_and_si256(upper, ones)));
    sum_of_fours = _mm256_add_epi16(sum_of_fours, _mm256_maddubs_epi16(four[3], _mm256_and_si256(upper, fours)));
  }
  __attribute__((always_inline)) static __m256i Total(__m256i sum, __m256i sum_of_fours) {
    return _mm256_add_epi16(sum, _mm256_srai_epi16(sum_of_fours, 2));
  }
};

template <>
struct Form<4> {
  static constexpr int kStepsInWords = 2;  // 2 steps · 2 nibbles · 15 · 255 · 2 = 30600

  __attribute__((always_inline)) static void Multiply(__m256i packed, const __m256i (&four)[2], __m256i& sum,
                                                      __m256i& other_sum) {
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    const __m256i upper = _mm256_srli_epi16(packed, 4);
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(four[0], _mm256_and_si256(packed, nibble)));
    other_sum = _mm256_add_epi16(other_sum, _mm256_maddubs_epi16(four[1], _mm256_and_si256(upper, nibble)));
  }
  __attribute__((always_inline)) static __m256i Total(__m256i sum, __m256i other_sum) {
    return _mm256_add_epi16(sum, other_sum);
  }
};

template <int kBits, int kBlocks>
void MicroKernel(const GemvTile& tile) {
  constexpr int kFields = 8 / kBits;
  __m256i acc[kBlocks];
  Unrolled<kBlocks>([&](auto b) { acc[b] = Load(tile.acc + 8 * b); });
  const std::byte* weights = tile.weights;
  const uint8_t* codes = tile.codes;
  for (int64_t step = 0; step < tile.steps; step += Form<kBits>::kStepsInWords) {
    const int64_t left = tile.steps - step;
    const int64_t steps = left < Form<kBits>::kStepsInWords ? left : Form<kBits>::kStepsInWords;
    __m256i words[kBlocks][2];
    Unrolled<kBlocks>([&](auto b) { words[b][0] = words[b][1] = _mm256_setzero_si256(); });
    for (int64_t i = 0; i < steps; ++i, weights += kBlocks * 32, codes += kFields * 4) {
      __m256i four[kFields];
      Unrolled<kFields>([&](auto j) { four[j] = BroadcastFour(codes + 4 * j); });
      Unrolled<kBlocks>([&](auto b) { Form<kBits>::Multiply(Load(weights + b * 32), four, words[b][0], words[b][1]); });
    }
    Unrolled<kBlocks>([&](auto b) {
      const __m256i total = Form<kBits>::Total(words[b][0], words[b][1]);
      acc[b] = _mm256_add_epi32(acc[b], _mm256_madd_epi16(total, _mm256_set1_epi16(1)));
    });
  }
  Unrolled<kBlocks>([&](auto b) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(tile.acc + 8 * b), acc[b]); });
}

int32_t Prepare(const uint8_t* codes, int64_t count, uint8_t* prepared) {
  int64_t i = 0;
  __m256i sums = _mm256_setzero_si256();
  for (; i + 32 <= count; i += 32) {
    const __m256i u = Load(codes + i);
    sums = _mm256_add_epi64(sums, _mm256_sad_epu8(u, _mm256_setzero_si256()));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(prepared + i), u);
  }
  int64_t parts[4];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(parts), sums);
  int64_t sum = parts[0] + parts[1] + parts[2] + parts[3];
  for (; i < count; ++i) {
    prepared[i] = codes[i];
    sum += codes[i];
  }
  for (; i % 64 != 0; ++i) prepared[i] = 0;
  return static_cast<int32_t>(sum);
}

template <int kBits>
constexpr GemvTier::Width WidthOf(double macs_per_cycle) {
  return {kBits, 2, macs_per_cycle, {MicroKernel<kBits, 1>, MicroKernel<kBits, 2>}};
}

constexpr GemvTier kTier = {8, 0, {WidthOf<2>(34), WidthOf<4>(30), {}}, Prepare, Transform};

}  // namespace

constinit const ConvKernel kGemv = {
    "avx2_gemv",
    [](const ConvShape& shape, int, int max_weight) { return GemvSupports(kTier, shape, max_weight); },
    [](const ConvShape& shape, int, int max_weight) { return GemvCycles(kTier, shape, max_weight); },
    [](const ConvShape& shape, const int8_t* weights) { return GemvPackedBytes(kTier, shape, weights); },
    [](const ConvShape& shape, const int8_t* weights, std::byte* packed) { GemvPack(kTier, shape, weights, packed); },
    [](const ConvShape& shape) { return GemvScratchBytes(kTier, shape); },
    [](const ConvShape& shape, const ConvCall& call) { GemvRun(kTier, shape, call); },
};

}  // namespace bitstage::kernels::avx2
