#include "engine/kernels/avx2/avx2.h"
#include "engine/kernels/avx2/registers.h"
#include "engine/kernels/reference/reference.h"

namespace bitstage::kernels::avx2 {
namespace {

constexpr int64_t kPixels = 16;

struct Channel {
  __m256 step, zero_point, unit, top;
  __m128i shift;
};

BITSTAGE_INLINE Channel Load(const QuantizeChannel& channel) {
  return {_mm256_set1_ps(channel.step), _mm256_set1_ps(channel.zero_point),
          _mm256_set1_ps(1.0f / static_cast<float>(1 << channel.shift)), _mm256_set1_ps(channel.top),
          _mm_cvtsi32_si128(channel.shift)};
}

BITSTAGE_INLINE __m256i CodesOfEight(const Channel& channel, const float* input) {
  const __m256 x = _mm256_loadu_ps(input);
  const __m256 number = _mm256_and_ps(x, _mm256_cmp_ps(x, x, _CMP_ORD_Q));
  const __m256 t = _mm256_mul_ps(_mm256_add_ps(_mm256_div_ps(number, channel.step), channel.zero_point), channel.unit);
  const __m256 clamped = _mm256_min_ps(_mm256_max_ps(t, _mm256_setzero_ps()), channel.top);
  return _mm256_sll_epi32(_mm256_cvtps_epi32(clamped), channel.shift);
}

// Of 16 pixels of one channel.
BITSTAGE_INLINE __m128i CodesOf(const Channel& channel, const float* input) {
  return PackBytes(PackWords(CodesOfEight(channel, input), CodesOfEight(channel, input + 8)));
}

// 16 pixels of three channels without gaps: three pieces of 16 bytes.
BITSTAGE_INLINE void StoreThree(__m128i r, __m128i g, __m128i b, uint8_t* output) {
  alignas(16) static constexpr int8_t kShuffles[9][16] = {
      {0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1, 5},
      {-1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1, -1},
      {-1, -1, 0, -1, -1, 1, -1, -1, 2, -1, -1, 3, -1, -1, 4, -1},
      {-1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10, -1},
      {5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1, 10},
      {-1, 5, -1, -1, 6, -1, -1, 7, -1, -1, 8, -1, -1, 9, -1, -1},
      {-1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1, -1},
      {-1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15, -1},
      {10, -1, -1, 11, -1, -1, 12, -1, -1, 13, -1, -1, 14, -1, -1, 15}};
  const auto shuffled = [](__m128i codes, int k) __attribute__((always_inline)) {
    return _mm_shuffle_epi8(codes, _mm_load_si128(reinterpret_cast<const __m128i*>(kShuffles[k])));
  };
  for (int piece = 0; piece < 3; ++piece) {
    const __m128i bytes =
        _mm_or_si128(_mm_or_si128(shuffled(r, 3 * piece), shuffled(g, 3 * piece + 1)), shuffled(b, 3 * piece + 2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(output) + piece, bytes);
  }
}

}  // namespace

void Quantize(const QuantizeCall& call) {
  int64_t pixel = 0;
  if (call.channels == 3 && call.output_pixel_stride == 3) {
    const Channel r = Load(call.channel[0]);
    const Channel g = Load(call.channel[1]);
    const Channel b = Load(call.channel[2]);
    for (; pixel + kPixels <= call.pixels; pixel += kPixels) {
      const float* input = call.input + pixel;
      StoreThree(CodesOf(r, input), CodesOf(g, input + call.plane), CodesOf(b, input + 2 * call.plane),
                 call.output + pixel * 3);
    }
  } else {
    for (; pixel + kPixels <= call.pixels; pixel += kPixels) {
      for (int64_t c = 0; c < call.channels; ++c) {
        alignas(16) uint8_t line[kPixels];
        _mm_store_si128(reinterpret_cast<__m128i*>(line),
                        CodesOf(Load(call.channel[c]), call.input + c * call.plane + pixel));
        uint8_t* output = call.output + pixel * call.output_pixel_stride + c;
        for (int64_t i = 0; i < kPixels; ++i) output[i * call.output_pixel_stride] = line[i];
      }
    }
  }
  QuantizeCall rest = call;
  rest.input += pixel;
  rest.output += pixel * call.output_pixel_stride;
  rest.pixels -= pixel;
  reference::Quantize(rest);
}

}  // namespace bitstage::kernels::avx2
