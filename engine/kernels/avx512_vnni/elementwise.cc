// The output transform and Add: from numbers to clamped floats to codes, 16 channels at a time.
#include <immintrin.h>

#include "engine/kernels/avx512_vnni/avx512_vnni.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

__attribute__((always_inline)) inline __mmask16 LanesOf(int64_t channels) {
  return channels >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << channels) - 1);
}

// Inputs may be read past their last channel (params.h).
__attribute__((always_inline)) inline __m512 LoadCodes(const uint8_t* codes) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))));
}

// What turns a float into a code, for 16 channels.
struct Limits {
  __m512 low, high;
  __m512i shift;
};

__attribute__((always_inline)) inline Limits LoadLimits(const OutputTransform& transform, int64_t c, __mmask16 lanes) {
  return {_mm512_maskz_loadu_ps(lanes, transform.low + c), _mm512_maskz_loadu_ps(lanes, transform.high + c),
          transform.shift == nullptr ? _mm512_setzero_si512()
                                     : _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, transform.shift + c))};
}

// The operands' order matters: where both are equal the result is t, the sign of a zero included.
__attribute__((always_inline)) inline __m512 Clamp(const Limits& limits, __m512 t) {
  return _mm512_min_ps(limits.high, _mm512_max_ps(limits.low, t));
}

__attribute__((always_inline)) inline void StoreCodes(const Limits& limits, __m512 t, __mmask16 lanes,
                                                      uint8_t* output) {
  const __m512i symbols = _mm512_cvtps_epi32(Clamp(limits, t));
  const __m128i codes = _mm512_cvtepi32_epi8(_mm512_sllv_epi32(symbols, limits.shift));
  if (lanes == 0xffff) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(output), codes);
  } else {
    _mm_mask_storeu_epi8(output, lanes, codes);
  }
}

}  // namespace

void Transform(const OutputTile& tile) {
  const OutputTransform& transform = tile.transform;
  for (int64_t c = 0; c < tile.channels; c += 16) {
    const __mmask16 lanes = LanesOf(tile.channels - c);
    const __m512 mult = _mm512_maskz_loadu_ps(lanes, transform.mult + c);
    const __m512 add = _mm512_maskz_loadu_ps(lanes, transform.add + c);
    const Limits limits = LoadLimits(transform, c, lanes);
    const __m512 residual_mult =
        tile.residual == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(lanes, transform.residual_mult + c);
    for (int64_t p = 0; p < tile.pixels; ++p) {
      const __m512i acc = _mm512_loadu_si512(tile.acc + p * tile.acc_stride + c);
      __m512 t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), mult, add);
      if (tile.residual != nullptr) {
        t = _mm512_fmadd_ps(LoadCodes(tile.residual + p * tile.residual_pixel_stride + c), residual_mult, t);
      }
      const int64_t element = p * tile.output_pixel_stride + c;
      if (transform.to_float) {
        _mm512_mask_storeu_ps(static_cast<float*>(tile.output) + element, lanes, Clamp(limits, t));
      } else {
        StoreCodes(limits, t, lanes, static_cast<uint8_t*>(tile.output) + element);
      }
    }
  }
}

void Add(const AddCall& call) {
  for (int64_t c = 0; c < call.channels; c += 16) {
    const __mmask16 lanes = LanesOf(call.channels - c);
    const __m512 mult_a = _mm512_maskz_loadu_ps(lanes, call.mult_a + c);
    const __m512 mult_b = _mm512_maskz_loadu_ps(lanes, call.transform.mult + c);
    const __m512 add = _mm512_maskz_loadu_ps(lanes, call.transform.add + c);
    const Limits limits = LoadLimits(call.transform, c, lanes);
    for (int64_t p = 0; p < call.pixels; ++p) {
      const __m512 a = LoadCodes(call.a + p * call.a_pixel_stride + c);
      const __m512 b = LoadCodes(call.b + p * call.b_pixel_stride + c);
      const __m512 t = _mm512_fmadd_ps(b, mult_b, _mm512_fmadd_ps(a, mult_a, add));
      StoreCodes(limits, t, lanes, call.output + p * call.output_pixel_stride + c);
    }
  }
}

}  // namespace bitstage::kernels::avx512_vnni
