#include "engine/kernels/direct_conv.h"

#include <immintrin.h>

#include <utility>

#include "engine/kernels/avx512_vnni/avx512_vnni.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

// acc + the products of four u8 and four s8 a lane. g++ 12 spills accumulators that go through the intrinsic.
__attribute__((always_inline)) inline __m512i DotProduct(__m512i acc, __m512i codes, __m512i weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(codes), "v"(weights));
  return acc;
}

__attribute__((always_inline)) inline __m512i BroadcastFour(const uint8_t* codes) {
  int32_t four;
  __builtin_memcpy(&four, codes, sizeof(four));
  return _mm512_set1_epi32(four);
}

// body(0), body(1), … with constants, so that arrays of registers are never indexed by a variable.
template <int kCount, typename Body>
__attribute__((always_inline)) inline void Unrolled(Body body) {
  [&]<int... k>(std::integer_sequence<int, k...>) { (body(std::integral_constant<int, k>()), ...); }
  (std::make_integer_sequence<int, kCount>());
}

// `kUnroll` steps of four input channels. With few accumulators a pixel, several steps at a time save pointer loads.
template <int kPixels, int kBlocks, int kUnroll>
__attribute__((always_inline)) inline void Steps(const uint8_t* const (&pixel)[kPixels], int64_t step,
                                                 const int8_t* weights, int64_t block_bytes,
                                                 __m512i (&acc)[kPixels][kBlocks]) {
  __m512i w[kUnroll][kBlocks];
  Unrolled<kUnroll>([&](auto u) {
    Unrolled<kBlocks>([&](auto b) { w[u][b] = _mm512_loadu_si512(weights + (step + u) * 64 + b * block_bytes); });
  });
  Unrolled<kPixels>([&](auto i) {
    Unrolled<kUnroll>([&](auto u) {
      const __m512i four = BroadcastFour(pixel[i] + (step + u) * 4);
      Unrolled<kBlocks>([&](auto b) { acc[i][b] = DotProduct(acc[i][b], four, w[u][b]); });
    });
  });
}

template <int kPixels, int kBlocks>
void MicroKernel(const DirectTile& tile) {
  constexpr int kUnroll = 4 / kBlocks;
  __m512i acc[kPixels][kBlocks];
  Unrolled<kBlocks>([&](auto b) {
    const __m512i init = _mm512_loadu_si512(tile.acc_init + 16 * b);
    Unrolled<kPixels>([&](auto i) { acc[i][b] = init; });
  });
  const int64_t steps = tile.steps;
  const int64_t block_bytes = tile.block_bytes;
  const int8_t* weights = tile.weights;
  for (int64_t tap = 0; tap < tile.tap_count; ++tap) {
    const uint8_t* const* at = tile.at + tile.taps[tap];
    const uint8_t* pixel[kPixels];
    Unrolled<kPixels>([&](auto i) { pixel[i] = at[tile.pixels[i]] + tile.channel; });
    int64_t step = 0;
    for (; step + kUnroll <= steps; step += kUnroll) {
      Steps<kPixels, kBlocks, kUnroll>(pixel, step, weights, block_bytes, acc);
    }
    if constexpr (kUnroll > 1) {
      for (; step < steps; ++step) Steps<kPixels, kBlocks, 1>(pixel, step, weights, block_bytes, acc);
    }
    weights += steps * 64;
  }
  Unrolled<kPixels>([&](auto i) {
    Unrolled<kBlocks>([&](auto b) { _mm512_storeu_si512(tile.acc + (i * kBlocks + b) * 16, acc[i][b]); });
  });
}

constexpr DirectTier kTier = {
    16,
    4,
    {{12, MicroKernel<12, 1>, MicroKernel<1, 1>},
     {12, MicroKernel<12, 2>, MicroKernel<1, 2>},
     {8, MicroKernel<8, 3>, MicroKernel<1, 3>},
     {6, MicroKernel<6, 4>, MicroKernel<1, 4>}},
    Transform,
};

}  // namespace

constinit const ConvKernel kDirect = {
    "vnni_direct",
    [](const ConvShape&, int, int) { return true; },
    [](const ConvShape& shape, int, int) {
      // The output transform takes its accumulators from memory.
      const auto outputs = static_cast<double>(shape.out_height * shape.out_width * shape.out_channels);
      return DirectCycles(kTier, shape, 115) + outputs;
    },
    [](const ConvShape& shape, const int8_t*) { return DirectPackedBytes(kTier, shape); },
    [](const ConvShape& shape, const int8_t* weights, std::byte* packed) { DirectPack(kTier, shape, weights, packed); },
    [](const ConvShape& shape) { return DirectScratchBytes(kTier, shape); },
    [](const ConvShape& shape, const ConvCall& call) { DirectRun(kTier, shape, call); },
};

}  // namespace bitstage::kernels::avx512_vnni
