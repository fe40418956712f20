#include "engine/kernels/direct_conv.h"

#include <immintrin.h>

#include <utility>

#include "engine/kernels/avx2/avx2.h"

namespace bitstage::kernels::avx2 {
namespace {

// How four codes meet four weights a lane. Each form prepares a register of weights once for all pixels of a tile.
struct Bytes {
  static constexpr int kPixels = 4;  // of a tile: what 16 registers hold
  static constexpr double kMacsPerCycle = 29;
  __m256i weights;

  __attribute__((always_inline)) void Prepare(__m256i w) { weights = w; }
  __attribute__((always_inline)) __m256i DotProduct(__m256i codes) const {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(codes, weights), _mm256_set1_epi16(1));
  }
};

// Even and odd bytes apart, widened to 16 bits.
struct Words {
  static constexpr int kPixels = 3;
  static constexpr double kMacsPerCycle = 18;
  __m256i even, odd;

  __attribute__((always_inline)) void Prepare(__m256i w) {
    even = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8);
    odd = _mm256_srai_epi16(w, 8);
  }
  __attribute__((always_inline)) __m256i DotProduct(__m256i codes) const {
    const __m256i even_codes = _mm256_and_si256(codes, _mm256_set1_epi16(0xff));
    const __m256i odd_codes = _mm256_srli_epi16(codes, 8);
    return _mm256_add_epi32(_mm256_madd_epi16(even_codes, even), _mm256_madd_epi16(odd_codes, odd));
  }
};

__attribute__((always_inline)) inline __m256i BroadcastFour(const uint8_t* codes) {
  int32_t four;
  __builtin_memcpy(&four, codes, sizeof(four));
  return _mm256_set1_epi32(four);
}

// body(0), body(1), … with constants, so that arrays of registers are never indexed by a variable.
template <int kCount, typename Body>
__attribute__((always_inline)) inline void Unrolled(Body body) {
  [&]<int... k>(std::integer_sequence<int, k...>) { (body(std::integral_constant<int, k>()), ...); }
  (std::make_integer_sequence<int, kCount>());
}

template <typename Form, int kPixels, int kBlocks>
void MicroKernel(const DirectTile& tile) {
  __m256i acc[kPixels][kBlocks];
  Unrolled<kBlocks>([&](auto b) {
    const __m256i init = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(tile.acc_init + 8 * b));
    Unrolled<kPixels>([&](auto i) { acc[i][b] = init; });
  });
  const int8_t* weights = tile.weights;
  for (int64_t tap = 0; tap < tile.tap_count; ++tap) {
    const uint8_t* const* at = tile.at + tile.taps[tap];
    const uint8_t* pixel[kPixels];
    Unrolled<kPixels>([&](auto i) { pixel[i] = at[tile.pixels[i]] + tile.channel; });
    for (int64_t step = 0; step < tile.steps; ++step, weights += 32) {
      Form form[kBlocks];
      Unrolled<kBlocks>([&](auto b) {
        form[b].Prepare(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights + b * tile.block_bytes)));
      });
      Unrolled<kPixels>([&](auto i) {
        const __m256i codes = BroadcastFour(pixel[i] + step * 4);
        Unrolled<kBlocks>([&](auto b) { acc[i][b] = _mm256_add_epi32(acc[i][b], form[b].DotProduct(codes)); });
      });
    }
  }
  Unrolled<kPixels>([&](auto i) {
    Unrolled<kBlocks>(
        [&](auto b) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(tile.acc + (i * kBlocks + b) * 8), acc[i][b]); });
  });
}

template <typename Form>
constexpr DirectTier kTier = {
    8,
    2,
    {{Form::kPixels, MicroKernel<Form, Form::kPixels, 1>, MicroKernel<Form, 1, 1>},
     {Form::kPixels, MicroKernel<Form, Form::kPixels, 2>, MicroKernel<Form, 1, 2>}},
    Transform,
};

template <typename Form>
constexpr ConvKernel Kernel(const char* name, bool (*supports)(const ConvShape&, int, int)) {
  return {
      name,
      supports,
      [](const ConvShape& shape, int, int) { return DirectCycles(kTier<Form>, shape, Form::kMacsPerCycle); },
      [](const ConvShape& shape, const int8_t*) { return DirectPackedBytes(kTier<Form>, shape); },
      [](const ConvShape& shape, const int8_t* weights, std::byte* packed) {
        DirectPack(kTier<Form>, shape, weights, packed);
      },
      [](const ConvShape& shape) { return DirectScratchBytes(kTier<Form>, shape); },
      [](const ConvShape& shape, const ConvCall& call) { DirectRun(kTier<Form>, shape, call); },
  };
}

}  // namespace

constinit const ConvKernel kDirectBytes = Kernel<Bytes>(
    "avx2_direct_bytes",
    [](const ConvShape&, int max_code, int max_weight) { return 2 * max_code * max_weight <= INT16_MAX; });

constinit const ConvKernel kDirectWords =
    Kernel<Words>("avx2_direct_words", [](const ConvShape&, int, int) { return true; });

}  // namespace bitstage::kernels::avx2
