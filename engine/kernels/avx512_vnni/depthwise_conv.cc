#include "engine/kernels/depthwise_conv.h"

#include <immintrin.h>

#include "engine/kernels/avx512_vnni/avx512_vnni.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

__attribute__((always_inline)) inline __m512i DotProduct(__m512i acc, __m512i codes, __m512i weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(codes), "v"(weights));
  return acc;
}

// 64 channels, four kernel positions at a time: interleaving the four pixels puts the four codes of a channel into one
// dword. It works within 128-bit lanes, so register k gets channels 16·lane + 4k + 0…3, and so are the weights packed.
int64_t Position(int64_t channel, int64_t tap) {
  const int64_t lane = channel / 16;
  const int64_t k = channel % 16 / 4;
  return (k * 16 + lane * 4 + channel % 4) * 4 + tap;
}

__attribute__((always_inline)) inline void OnePixel(const DepthwiseTile& tile, int64_t pixel) {
  const uint8_t* const* pixel_taps = tile.taps + pixel * tile.tap_groups * 4;
  int32_t* acc = tile.acc + pixel * tile.blocks * 64;
  const std::byte* weights = tile.weights;
  for (int64_t block = 0; block < tile.blocks; ++block) {
    __m512i acc0 = _mm512_setzero_si512();
    __m512i acc1 = acc0;
    __m512i acc2 = acc0;
    __m512i acc3 = acc0;
    for (int64_t group = 0; group < tile.tap_groups; ++group, weights += 256) {
      const uint8_t* const* taps = pixel_taps + group * 4;
      const __m512i a = _mm512_loadu_si512(taps[0] + block * 64);
      const __m512i b = _mm512_loadu_si512(taps[1] + block * 64);
      const __m512i c = _mm512_loadu_si512(taps[2] + block * 64);
      const __m512i d = _mm512_loadu_si512(taps[3] + block * 64);
      const __m512i ab_low = _mm512_unpacklo_epi8(a, b);
      const __m512i ab_high = _mm512_unpackhi_epi8(a, b);
      const __m512i cd_low = _mm512_unpacklo_epi8(c, d);
      const __m512i cd_high = _mm512_unpackhi_epi8(c, d);
      acc0 = DotProduct(acc0, _mm512_unpacklo_epi16(ab_low, cd_low), _mm512_loadu_si512(weights));
      acc1 = DotProduct(acc1, _mm512_unpackhi_epi16(ab_low, cd_low), _mm512_loadu_si512(weights + 64));
      acc2 = DotProduct(acc2, _mm512_unpacklo_epi16(ab_high, cd_high), _mm512_loadu_si512(weights + 128));
      acc3 = DotProduct(acc3, _mm512_unpackhi_epi16(ab_high, cd_high), _mm512_loadu_si512(weights + 192));
    }
    // Back to the order of channels: a 4 x 4 transpose of 128-bit lanes.
    const __m512i low01 = _mm512_shuffle_i32x4(acc0, acc1, 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(acc0, acc1, 0xee);
    const __m512i low23 = _mm512_shuffle_i32x4(acc2, acc3, 0x44);
    const __m512i high23 = _mm512_shuffle_i32x4(acc2, acc3, 0xee);
    const __m512i ordered[4] = {_mm512_shuffle_i32x4(low01, low23, 0x88), _mm512_shuffle_i32x4(low01, low23, 0xdd),
                                _mm512_shuffle_i32x4(high01, high23, 0x88), _mm512_shuffle_i32x4(high01, high23, 0xdd)};
    for (int k = 0; k < 4; ++k) {
      const int64_t channel = block * 64 + k * 16;
      const __m512i init = _mm512_loadu_si512(tile.acc_init + channel);
      _mm512_storeu_si512(acc + channel, _mm512_add_epi32(init, ordered[k]));
    }
  }
}

void MicroKernel(const DepthwiseTile& tile) {
  for (int64_t pixel = 0; pixel < tile.pixels; ++pixel) OnePixel(tile, pixel);
}

constexpr DepthwiseTier kTier = {64, 4, 1, Position, MicroKernel, Transform};

}  // namespace

constinit const ConvKernel kDepthwise = {
    "vnni_depthwise",
    [](const ConvShape& shape, int, int) {
      return shape.groups == shape.in_channels && shape.groups == shape.out_channels;
    },
    // About what was measured on 14 x 14 to 112 x 112 maps.
    [](const ConvShape& shape, int, int) { return static_cast<double>(shape.macs()) / 10; },
    [](const ConvShape& shape, const int8_t*) { return DepthwisePackedBytes(kTier, shape); },
    [](const ConvShape& shape, const int8_t* weights, std::byte* packed) {
      DepthwisePack(kTier, shape, weights, packed);
    },
    [](const ConvShape& shape) { return DepthwiseScratchBytes(kTier, shape); },
    [](const ConvShape& shape, const ConvCall& call) { DepthwiseRun(kTier, shape, call); },
};

}  // namespace bitstage::kernels::avx512_vnni
