#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#include "engine/kernels/avx512_vnni/registers.h"
#include "engine/kernels/reference/reference.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

constexpr int64_t kPixels = 64;

struct Channel {
  __m512 step, zero_point, unit, top;
  __m128i shift;
};

BITSTAGE_INLINE Channel Load(const QuantizeChannel& channel) {
  return {_mm512_set1_ps(channel.step), _mm512_set1_ps(channel.zero_point),
          _mm512_set1_ps(1.0f / static_cast<float>(1 << channel.shift)), _mm512_set1_ps(channel.top),
          _mm_cvtsi32_si128(channel.shift)};
}

BITSTAGE_INLINE __m512i CodesOfSixteen(const Channel& channel, const float* input) {
  const __m512 x = _mm512_loadu_ps(input);
  const __m512 number = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, x, _CMP_ORD_Q), x);
  const __m512 t = _mm512_mul_ps(_mm512_add_ps(_mm512_div_ps(number, channel.step), channel.zero_point), channel.unit);
  const __m512 clamped = _mm512_min_ps(_mm512_max_ps(t, _mm512_setzero_ps()), channel.top);
  return _mm512_sll_epi32(_mm512_cvtps_epi32(clamped), channel.shift);
}

// Of 64 pixels of one channel.
BITSTAGE_INLINE __m512i CodesOf(const Channel& channel, const float* input) {
  return Pack(CodesOfSixteen(channel, input), CodesOfSixteen(channel, input + 16), CodesOfSixteen(channel, input + 32),
              CodesOfSixteen(channel, input + 48));
}

// 64 pixels of three channels without gaps. In every 128-bit lane 16 pixels become three pieces of 16 bytes.
BITSTAGE_INLINE void StoreThree(__m512i r, __m512i g, __m512i b, uint8_t* output) {
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
  const auto shuffle = [](int k) {
    return _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(kShuffles[k])));
  };
  Unrolled<3>([&](auto piece) {
    const __m512i bytes = _mm512_or_si512(
        _mm512_or_si512(_mm512_shuffle_epi8(r, shuffle(3 * piece)), _mm512_shuffle_epi8(g, shuffle(3 * piece + 1))),
        _mm512_shuffle_epi8(b, shuffle(3 * piece + 2)));
    auto* const at = reinterpret_cast<__m128i*>(output) + piece;
    _mm_storeu_si128(at, _mm512_castsi512_si128(bytes));
    _mm_storeu_si128(at + 3, _mm512_extracti32x4_epi32(bytes, 1));
    _mm_storeu_si128(at + 6, _mm512_extracti32x4_epi32(bytes, 2));
    _mm_storeu_si128(at + 9, _mm512_extracti32x4_epi32(bytes, 3));
  });
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
        alignas(64) uint8_t line[kPixels];
        const __m512i codes = CodesOf(Load(call.channel[c]), call.input + c * call.plane + pixel);
        uint8_t* output = call.output + pixel * call.output_pixel_stride + c;
        if (call.output_pixel_stride == 1) {
          _mm512_storeu_si512(output, codes);
          continue;
        }
        _mm512_store_si512(line, codes);
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

}  // namespace bitstage::kernels::avx512_vnni
