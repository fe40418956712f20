#include <immintrin.h>

#include "engine/kernels/avx2/avx2.h"
#include "engine/kernels/pool_window.h"

namespace bitstage::kernels::avx2 {
namespace {

constexpr int64_t kLanes = 8;

// The largest codes of 32 channels.
__m256i MaxOf(const PoolWindow& window, int64_t c) {
  __m256i max = _mm256_setzero_si256();
  for (int64_t y = 0; y < window.rows; ++y) {
    const uint8_t* row = window.first + y * window.row_bytes + c;
    for (int64_t x = 0; x < window.columns; ++x) {
      const auto* codes = reinterpret_cast<const __m256i*>(row + x * window.column_bytes);
      max = _mm256_max_epu8(max, _mm256_loadu_si256(codes));
    }
  }
  return max;
}

// The sum of the codes of 8 channels.
__m256i SumOf(const PoolWindow& window, int64_t c) {
  __m256i sum = _mm256_setzero_si256();
  for (int64_t y = 0; y < window.rows; ++y) {
    const uint8_t* row = window.first + y * window.row_bytes + c;
    for (int64_t x = 0; x < window.columns; ++x) {
      const auto* codes = reinterpret_cast<const __m128i*>(row + x * window.column_bytes);
      sum = _mm256_add_epi32(sum, _mm256_cvtepu8_epi32(_mm_loadl_epi64(codes)));
    }
  }
  return sum;
}

}  // namespace

void MaxPool(const PoolCall& call) {
  for (int64_t y = call.row_begin; y < call.row_end; ++y) {
    for (int64_t x = 0; x < call.out_width; ++x) {
      const PoolWindow window = WindowAt(call, y, x);
      uint8_t* output = call.output + (y * call.out_width + x) * call.output_pixel_stride;
      for (int64_t c = 0; c < call.channels; c += 32) {
        const __m256i max = MaxOf(window, c);
        if (call.channels - c >= 32) {
          _mm256_storeu_si256(reinterpret_cast<__m256i*>(output + c), max);
        } else {
          __builtin_memcpy(output + c, &max, static_cast<size_t>(call.channels - c));
        }
      }
    }
  }
}

void AveragePool(const PoolCall& call) {
  for (int64_t y = call.row_begin; y < call.row_end; ++y) {
    for (int64_t x = 0; x < call.out_width; ++x) {
      const PoolWindow window = WindowAt(call, y, x);
      const __m256i zero_points =
          _mm256_set1_epi32(static_cast<int32_t>(window.rows * window.columns) * call.zero_point);
      const auto count = static_cast<float>(window.count);
      uint8_t* output = call.output + (y * call.out_width + x) * call.output_pixel_stride;
      for (int64_t c = 0; c < call.channels; c += kLanes) {
        const int64_t channels = call.channels - c < kLanes ? call.channels - c : kLanes;
        alignas(32) int32_t sum[kLanes];
        alignas(32) float mult[kLanes];
        _mm256_store_si256(reinterpret_cast<__m256i*>(sum), _mm256_sub_epi32(SumOf(window, c), zero_points));
        for (int64_t i = 0; i < channels; ++i) mult[i] = call.transform.mult[c + i] / count;
        OutputTile tile = {};
        tile.transform = From(call.transform, c);
        tile.transform.mult = mult;
        tile.channels = channels;
        tile.pixels = 1;
        tile.acc = sum;
        tile.output = output + c;
        Transform(tile);
      }
    }
  }
}

void Mean(const MeanCall& call) {
  constexpr int kSums = 8;  // registers of 4 channels
  const __m256d pixels = _mm256_set1_pd(static_cast<double>(call.pixels));
  int64_t c = 0;
  for (; c + kSums * 4 <= call.channels; c += kSums * 4) {
    __m256d sum[kSums];
    for (__m256d& of : sum) of = _mm256_setzero_pd();
    const float* pixel = call.input + c;
    for (int64_t p = 0; p < call.pixels; ++p, pixel += call.pixel_stride) {
      for (int k = 0; k < kSums; ++k) sum[k] = _mm256_add_pd(sum[k], _mm256_cvtps_pd(_mm_loadu_ps(pixel + 4 * k)));
    }
    for (int k = 0; k < kSums; ++k) {
      _mm_storeu_ps(call.output + c + 4 * k, _mm256_cvtpd_ps(_mm256_div_pd(sum[k], pixels)));
    }
  }
  for (; c < call.channels; ++c) {
    double sum = 0;
    for (int64_t p = 0; p < call.pixels; ++p) sum += call.input[p * call.pixel_stride + c];
    call.output[c] = static_cast<float>(sum / static_cast<double>(call.pixels));
  }
}

}  // namespace bitstage::kernels::avx2
