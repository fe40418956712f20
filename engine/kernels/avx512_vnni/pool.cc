#include <immintrin.h>

#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#include "engine/kernels/pool_window.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

constexpr int64_t kLanes = 16;

// The largest codes of 64 channels.
__m512i MaxOf(const PoolWindow& window, int64_t c) {
  __m512i max = _mm512_setzero_si512();
  for (int64_t y = 0; y < window.rows; ++y) {
    const uint8_t* row = window.first + y * window.row_bytes + c;
    for (int64_t x = 0; x < window.columns; ++x) {
      max = _mm512_max_epu8(max, _mm512_loadu_si512(row + x * window.column_bytes));
    }
  }
  return max;
}

// The sum of the codes of 16 channels.
__m512i SumOf(const PoolWindow& window, int64_t c) {
  __m512i sum = _mm512_setzero_si512();
  for (int64_t y = 0; y < window.rows; ++y) {
    const uint8_t* row = window.first + y * window.row_bytes + c;
    for (int64_t x = 0; x < window.columns; ++x) {
      const auto* codes = reinterpret_cast<const __m128i*>(row + x * window.column_bytes);
      sum = _mm512_add_epi32(sum, _mm512_cvtepu8_epi32(_mm_loadu_si128(codes)));
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
      for (int64_t c = 0; c < call.channels; c += 64) {
        const __m512i max = MaxOf(window, c);
        if (call.channels - c >= 64) {
          _mm512_storeu_si512(output + c, max);
        } else {
          _mm512_mask_storeu_epi8(output + c, (1ull << (call.channels - c)) - 1, max);
        }
      }
    }
  }
}

void AveragePool(const PoolCall& call) {
  for (int64_t y = call.row_begin; y < call.row_end; ++y) {
    for (int64_t x = 0; x < call.out_width; ++x) {
      const PoolWindow window = WindowAt(call, y, x);
      const __m512i zero_points =
          _mm512_set1_epi32(static_cast<int32_t>(window.rows * window.columns) * call.zero_point);
      const __m512 count = _mm512_set1_ps(static_cast<float>(window.count));
      uint8_t* output = call.output + (y * call.out_width + x) * call.output_pixel_stride;
      for (int64_t c = 0; c < call.channels; c += kLanes) {
        const int64_t channels = call.channels - c < kLanes ? call.channels - c : kLanes;
        alignas(64) int32_t sum[kLanes];
        alignas(64) float mult[kLanes];
        _mm512_store_si512(sum, _mm512_sub_epi32(SumOf(window, c), zero_points));
        const auto lanes = static_cast<__mmask16>((1u << channels) - 1);
        _mm512_store_ps(mult, _mm512_div_ps(_mm512_maskz_loadu_ps(lanes, call.transform.mult + c), count));
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

}  // namespace bitstage::kernels::avx512_vnni
