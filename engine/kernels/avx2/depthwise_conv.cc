#include "engine/kernels/depthwise_conv.h"

#include <immintrin.h>

#include "engine/kernels/avx2/avx2.h"

namespace bitstage::kernels::avx2 {
namespace {

// 16 channels, two kernel positions at a time: the two codes of a channel lie side by side as 16-bit words, as do its
// two weights.
int64_t Position(int64_t channel, int64_t tap) { return channel * 2 + tap; }

__attribute__((always_inline)) inline void OnePixel(const DepthwiseTile& tile, int64_t pixel) {
  const uint8_t* const* pixel_taps = tile.taps + pixel * tile.tap_groups * 2;
  const std::byte* weights = tile.weights;
  for (int64_t block = 0; block < tile.blocks; ++block) {
    const auto* init = reinterpret_cast<const __m256i*>(tile.acc_init + block * 16);
    __m256i low = _mm256_loadu_si256(init);
    __m256i high = _mm256_loadu_si256(init + 1);
    for (int64_t group = 0; group < tile.tap_groups; ++group, weights += 64) {
      const uint8_t* const* taps = pixel_taps + group * 2;
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(taps[0] + block * 16));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(taps[1] + block * 16));
      const auto* w = reinterpret_cast<const __m256i*>(weights);
      const __m256i low_codes = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
      const __m256i high_codes = _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(a, b));
      low = _mm256_add_epi32(low, _mm256_madd_epi16(low_codes, _mm256_loadu_si256(w)));
      high = _mm256_add_epi32(high, _mm256_madd_epi16(high_codes, _mm256_loadu_si256(w + 1)));
    }
    auto* acc = reinterpret_cast<__m256i*>(tile.acc + (pixel * tile.blocks + block) * 16);
    _mm256_storeu_si256(acc, low);
    _mm256_storeu_si256(acc + 1, high);
  }
}

void MicroKernel(const DepthwiseTile& tile) {
  for (int64_t pixel = 0; pixel < tile.pixels; ++pixel) OnePixel(tile, pixel);
}

// 32 channels, two kernel positions at a time, as bytes. Sums of all positions fit 16 bits (SumsFitWords). Interleaving
// the codes of both positions leaves channels 0–7 and 16–23 in one register, 8–15 and 24–31 in the other.
int64_t BytePosition(int64_t channel, int64_t tap) {
  return channel % 16 / 8 * 32 + channel / 16 * 16 + channel % 8 * 2 + tap;
}

bool SumsFitWords(const ConvShape& shape, int max_code, int max_weight) {
  const int64_t taps = (shape.kernel_height * shape.kernel_width + 1) / 2 * 2;
  return taps * max_code * max_weight <= INT16_MAX;
}

__attribute__((always_inline)) inline void StoreSums(__m128i sums, const int32_t* init, int32_t* acc) {
  const __m256i before = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(init));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(acc), _mm256_add_epi32(before, _mm256_cvtepi16_epi32(sums)));
}

template <int kPixels>
__attribute__((always_inline)) inline void Pixels(const DepthwiseTile& tile, int64_t pixel) {
  const int64_t taps = tile.tap_groups * 2;
  const uint8_t* const* pixel_taps = tile.taps + pixel * taps;
  const std::byte* weights = tile.weights;
  for (int64_t block = 0; block < tile.blocks; ++block) {
    __m256i even[kPixels], odd[kPixels];
#pragma GCC unroll 4
    for (int i = 0; i < kPixels; ++i) even[i] = odd[i] = _mm256_setzero_si256();
    for (int64_t tap = 0; tap < taps; tap += 2, weights += 64) {
      const __m256i even_weights = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights));
      const __m256i odd_weights = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights + 32));
#pragma GCC unroll 4
      for (int i = 0; i < kPixels; ++i) {
        const uint8_t* const* at = pixel_taps + i * taps + tap;
        const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at[0] + block * 32));
        const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at[1] + block * 32));
        even[i] = _mm256_add_epi16(even[i], _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), even_weights));
        odd[i] = _mm256_add_epi16(odd[i], _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), odd_weights));
      }
    }
    const int32_t* init = tile.acc_init + block * 32;
#pragma GCC unroll 4
    for (int i = 0; i < kPixels; ++i) {
      int32_t* acc = tile.acc + ((pixel + i) * tile.blocks + block) * 32;
      StoreSums(_mm256_castsi256_si128(even[i]), init, acc);
      StoreSums(_mm256_castsi256_si128(odd[i]), init + 8, acc + 8);
      StoreSums(_mm256_extracti128_si256(even[i], 1), init + 16, acc + 16);
      StoreSums(_mm256_extracti128_si256(odd[i], 1), init + 24, acc + 24);
    }
  }
}

void BytesMicroKernel(const DepthwiseTile& tile) {
  int64_t pixel = 0;
  for (; pixel + 3 <= tile.pixels; pixel += 3) Pixels<3>(tile, pixel);
  for (; pixel < tile.pixels; ++pixel) Pixels<1>(tile, pixel);
}

constexpr DepthwiseTier kWordsTier = {16, 2, 2, Position, MicroKernel, Transform};
constexpr DepthwiseTier kBytesTier = {32, 2, 1, BytePosition, BytesMicroKernel, Transform};

template <const DepthwiseTier* kTier>
constexpr ConvKernel Kernel(const char* name, bool (*supports)(const ConvShape&, int, int),
                            double (*cycles)(const ConvShape&, int, int)) {
  return {
      name,
      supports,
      cycles,
      [](const ConvShape& shape, const int8_t*) { return DepthwisePackedBytes(*kTier, shape); },
      [](const ConvShape& shape, const int8_t* weights, std::byte* packed) {
        DepthwisePack(*kTier, shape, weights, packed);
      },
      [](const ConvShape& shape) { return DepthwiseScratchBytes(*kTier, shape); },
      [](const ConvShape& shape, const ConvCall& call) { DepthwiseRun(*kTier, shape, call); },
  };
}

bool IsDepthwise(const ConvShape& shape) {
  return shape.groups == shape.in_channels && shape.groups == shape.out_channels;
}

}  // namespace

// Cycles: about what was measured on 14 x 14 to 112 x 112 maps.
constinit const ConvKernel kDepthwise = Kernel<&kWordsTier>(
    "avx2_depthwise", [](const ConvShape& shape, int, int) { return IsDepthwise(shape); },
    [](const ConvShape& shape, int, int) { return static_cast<double>(shape.macs()) / 5; });

constinit const ConvKernel kDepthwiseBytes = Kernel<&kBytesTier>(
    "avx2_depthwise_bytes",
    [](const ConvShape& shape, int max_code, int max_weight) {
      return IsDepthwise(shape) && SumsFitWords(shape, max_code, max_weight);
    },
    [](const ConvShape& shape, int, int) { return static_cast<double>(shape.macs()) / 12; });

}  // namespace bitstage::kernels::avx2
