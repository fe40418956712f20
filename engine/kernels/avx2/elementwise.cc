// The output transform and Add: from numbers to clamped floats to codes, 8 channels at a time.
#include "engine/kernels/avx2/avx2.h"
#include "engine/kernels/avx2/registers.h"

namespace bitstage::kernels::avx2 {
namespace {

// The first `count` (1…8) of 8 lanes.
struct Lanes {
  int64_t count;
  __m256i mask;
};

__attribute__((always_inline)) inline Lanes LanesOf(int64_t channels) {
  const int64_t count = channels < 8 ? channels : 8;
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return {count, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), index)};
}

// Inputs may be read past their last channel (params.h).
__attribute__((always_inline)) inline __m256i LoadBytes(const uint8_t* bytes) {
  return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)));
}

// What turns a float into a code, for 8 channels.
struct Limits {
  __m256 low, high;
  __m256i shift;
};

__attribute__((always_inline)) inline Limits LoadLimits(const OutputTransform& transform, int64_t c,
                                                        const Lanes& lanes) {
  alignas(8) uint8_t shift[8] = {};
  if (transform.shift != nullptr) {
    __builtin_memcpy(shift, transform.shift + c, static_cast<size_t>(lanes.count));
  }
  return {_mm256_maskload_ps(transform.low + c, lanes.mask), _mm256_maskload_ps(transform.high + c, lanes.mask),
          LoadBytes(shift)};
}

// The operands' order matters: where both are equal the result is t, the sign of a zero included.
__attribute__((always_inline)) inline __m256 Clamp(const Limits& limits, __m256 t) {
  return _mm256_min_ps(limits.high, _mm256_max_ps(limits.low, t));
}

__attribute__((always_inline)) inline void StoreCodes(const Limits& limits, __m256 t, const Lanes& lanes,
                                                      uint8_t* output) {
  const __m256i symbols = _mm256_cvtps_epi32(Clamp(limits, t));
  // The low byte of each dword, gathered in the first dword of each half.
  const __m256i gather = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8, 12, -1,
                                          -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
  const __m256i bytes = _mm256_shuffle_epi8(_mm256_sllv_epi32(symbols, limits.shift), gather);
  const __m128i codes = _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
  if (lanes.count == 8) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(output), codes);
  } else {
    const int64_t eight = _mm_cvtsi128_si64(codes);
    __builtin_memcpy(output, &eight, static_cast<size_t>(lanes.count));
  }
}

}  // namespace

namespace {

// Sixteen channels of codes. The clamp's lower end acts on whole symbols, which gives the same (padded_transform.h);
// what a conversion to integers cannot hold lies below it.
void TransformSixteen(const OutputTile& tile, int64_t c) {
  const OutputTransform& transform = tile.transform;
  const __m256 mult[2] = {_mm256_loadu_ps(transform.mult + c), _mm256_loadu_ps(transform.mult + c + 8)};
  const __m256 add[2] = {_mm256_loadu_ps(transform.add + c), _mm256_loadu_ps(transform.add + c + 8)};
  const __m256 high[2] = {_mm256_loadu_ps(transform.high + c), _mm256_loadu_ps(transform.high + c + 8)};
  const __m256i low = PackWords(_mm256_cvtps_epi32(_mm256_min_ps(_mm256_loadu_ps(transform.low + c), high[0])),
                                _mm256_cvtps_epi32(_mm256_min_ps(_mm256_loadu_ps(transform.low + c + 8), high[1])));
  __m256i factor = _mm256_set1_epi16(1);  // 2^shift
  __m256 residual_mult[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
  if (transform.shift != nullptr) {
    const __m256i one = _mm256_set1_epi32(1);
    factor = PackWords(_mm256_sllv_epi32(one, LoadBytes(transform.shift + c)),
                       _mm256_sllv_epi32(one, LoadBytes(transform.shift + c + 8)));
  }
  if (tile.residual != nullptr) {
    residual_mult[0] = _mm256_loadu_ps(transform.residual_mult + c);
    residual_mult[1] = _mm256_loadu_ps(transform.residual_mult + c + 8);
  }
  const int32_t* acc = tile.acc + c;
  const uint8_t* residual = tile.residual == nullptr ? nullptr : tile.residual + c;
  auto* output = static_cast<uint8_t*>(tile.output) + c;
  for (int64_t p = 0; p < tile.pixels; ++p, acc += tile.acc_stride, output += tile.output_pixel_stride) {
    const auto* halves = reinterpret_cast<const __m256i*>(acc);
    __m256 a = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_loadu_si256(halves)), mult[0], add[0]);
    __m256 b = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_loadu_si256(halves + 1)), mult[1], add[1]);
    if (residual != nullptr) {
      a = _mm256_fmadd_ps(LoadCodes(residual), residual_mult[0], a);
      b = _mm256_fmadd_ps(LoadCodes(residual + 8), residual_mult[1], b);
      residual += tile.residual_pixel_stride;
    }
    __m256i symbols =
        PackWords(_mm256_cvtps_epi32(_mm256_min_ps(a, high[0])), _mm256_cvtps_epi32(_mm256_min_ps(b, high[1])));
    symbols = _mm256_mullo_epi16(_mm256_max_epi16(symbols, low), factor);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(output), PackBytes(symbols));
  }
}

}  // namespace

void Transform(const OutputTile& tile) {
  const OutputTransform& transform = tile.transform;
  int64_t c = 0;
  if (!transform.to_float) {
    for (; c + 16 <= tile.channels; c += 16) TransformSixteen(tile, c);
  }
  for (; c < tile.channels; c += 8) {
    const Lanes lanes = LanesOf(tile.channels - c);
    const __m256 mult = _mm256_maskload_ps(transform.mult + c, lanes.mask);
    const __m256 add = _mm256_maskload_ps(transform.add + c, lanes.mask);
    const Limits limits = LoadLimits(transform, c, lanes);
    const __m256 residual_mult =
        tile.residual == nullptr ? _mm256_setzero_ps() : _mm256_maskload_ps(transform.residual_mult + c, lanes.mask);
    for (int64_t p = 0; p < tile.pixels; ++p) {
      const auto* acc = reinterpret_cast<const __m256i*>(tile.acc + p * tile.acc_stride + c);
      __m256 t = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_loadu_si256(acc)), mult, add);
      if (tile.residual != nullptr) {
        t = _mm256_fmadd_ps(LoadCodes(tile.residual + p * tile.residual_pixel_stride + c), residual_mult, t);
      }
      const int64_t element = p * tile.output_pixel_stride + c;
      if (transform.to_float) {
        _mm256_maskstore_ps(static_cast<float*>(tile.output) + element, lanes.mask, Clamp(limits, t));
      } else {
        StoreCodes(limits, t, lanes, static_cast<uint8_t*>(tile.output) + element);
      }
    }
  }
}

void Add(const AddCall& call) {
  for (int64_t c = 0; c < call.channels; c += 8) {
    const Lanes lanes = LanesOf(call.channels - c);
    const __m256 mult_a = _mm256_maskload_ps(call.mult_a + c, lanes.mask);
    const __m256 mult_b = _mm256_maskload_ps(call.transform.mult + c, lanes.mask);
    const __m256 add = _mm256_maskload_ps(call.transform.add + c, lanes.mask);
    const Limits limits = LoadLimits(call.transform, c, lanes);
    for (int64_t p = 0; p < call.pixels; ++p) {
      const __m256 a = LoadCodes(call.a + p * call.a_pixel_stride + c);
      const __m256 b = LoadCodes(call.b + p * call.b_pixel_stride + c);
      const __m256 t = _mm256_fmadd_ps(b, mult_b, _mm256_fmadd_ps(a, mult_a, add));
      StoreCodes(limits, t, lanes, call.output + p * call.output_pixel_stride + c);
    }
  }
}

}  // namespace bitstage::kernels::avx2
