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

constexpr DepthwiseTier kTier = {16, 2, 2, Position, MicroKernel, Transform};

}  // namespace

constinit const ConvKernel kDepthwise = {
    "avx2_depthwise",
    [](const ConvShape& shape, int, int) {
      return shape.groups == shape.in_channels && shape.groups == shape.out_channels;
    },
    // About what was measured on 14 x 14 to 112 x 112 maps.
    [](const ConvShape& shape, int, int) { return static_cast<double>(shape.macs()) / 5; },
    [](const ConvShape& shape, const int8_t*) { return DepthwisePackedBytes(kTier, shape); },
    [](const ConvShape& shape, const int8_t* weights, std::byte* packed) {
      DepthwisePack(kTier, shape, weights, packed);
    },
    [](const ConvShape& shape) { return DepthwiseScratchBytes(kTier, shape); },
    [](const ConvShape& shape, const ConvCall& call) { DepthwiseRun(kTier, shape, call); },
};

}  // namespace bitstage::kernels::avx2
