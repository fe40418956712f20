#include <immintrin.h>

#include "engine/kernels/avx512_vnni/avx512_vnni.h"
#include "engine/kernels/avx512_vnni/registers.h"
#include "engine/kernels/pool_window.h"

namespace bitstage::kernels::avx512_vnni {
namespace {

constexpr int64_t kLanes = 16;

__m512i MaxOfThree(const uint8_t* a, const uint8_t* b, const uint8_t* c) {
  return _mm512_max_epu8(_mm512_max_epu8(_mm512_loadu_si512(a), _mm512_loadu_si512(b)), _mm512_loadu_si512(c));
}

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

int64_t DivideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

void Store(__m512i codes, int64_t channels, uint8_t* output) {
  if (channels >= 64) {
    _mm512_storeu_si512(output, codes);
  } else {
    _mm512_mask_storeu_epi8(output, (1ull << channels) - 1, codes);
  }
}

void MaxOfPixel(const PoolCall& call, int64_t y, int64_t x) {
  const PoolWindow window = WindowAt(call, y, x);
  uint8_t* output = call.output + (y * call.out_width + x) * call.output_pixel_stride;
  for (int64_t c = 0; c < call.channels; c += 64) Store(MaxOf(window, c), call.channels - c, output + c);
}

// `count` outputs from `pixel` on, of windows like `first`.
void MaxOfRow(const PoolCall& call, const PoolWindow& first, int64_t pixel, int64_t count) {
  for (int64_t c = 0; c < call.channels; c += 64) {
    PoolWindow window = first;
    uint8_t* output = call.output + pixel * call.output_pixel_stride + c;
    for (int64_t i = 0; i < count; ++i, output += call.output_pixel_stride) {
      __m512i max;
      if (window.rows == 3 && window.columns == 3) {
        const uint8_t* row0 = window.first + c;
        const uint8_t* row1 = row0 + window.row_bytes;
        const uint8_t* row2 = row1 + window.row_bytes;
        const int64_t column = window.column_bytes;
        max = _mm512_max_epu8(
            _mm512_max_epu8(MaxOfThree(row0, row1, row2), MaxOfThree(row0 + column, row1 + column, row2 + column)),
            MaxOfThree(row0 + 2 * column, row1 + 2 * column, row2 + 2 * column));
      } else {
        max = MaxOf(window, c);
      }
      Store(max, call.channels - c, output);
      window.first += call.stride_width * call.input_pixel_stride;
    }
  }
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
  // The outputs whose windows lie between the left and the right edge: all have the same shape.
  const int64_t reach = (call.kernel_width - 1) * call.dilation_width;
  const int64_t room = call.in_width - 1 - reach + call.pad_left;
  const int64_t first = DivideUp(call.pad_left, call.stride_width);
  const int64_t last = room < 0 ? 0 : room / call.stride_width + 1;
  for (int64_t y = call.row_begin; y < call.row_end; ++y) {
    int64_t x = 0;
    for (; x < call.out_width && x < first; ++x) MaxOfPixel(call, y, x);
    if (x < last && x < call.out_width) {
      const int64_t end = last < call.out_width ? last : call.out_width;
      MaxOfRow(call, WindowAt(call, y, x), y * call.out_width + x, end - x);
      x = end;
    }
    for (; x < call.out_width; ++x) MaxOfPixel(call, y, x);
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

void Mean(const MeanCall& call) {
  constexpr int kSums = 16;  // registers of 8 channels: a whole piece of every pixel at a time
  const __m512d pixels = _mm512_set1_pd(static_cast<double>(call.pixels));
  for (int64_t c = 0; c < call.channels; c += kSums * 8) {
    __mmask8 lanes[kSums];
    __m512d sum[kSums];
    Unrolled<kSums>([&](auto k) {
      lanes[k] = static_cast<__mmask8>(FirstBytes(call.channels > c + 8 * k ? call.channels - c - 8 * k : 0));
      sum[k] = _mm512_setzero_pd();
    });
    const float* pixel = call.input + c;
    if (call.channels - c >= kSums * 8) {
      for (int64_t p = 0; p < call.pixels; ++p, pixel += call.pixel_stride) {
        Unrolled<kSums>(
            [&](auto k) { sum[k] = _mm512_add_pd(sum[k], _mm512_cvtps_pd(_mm256_loadu_ps(pixel + 8 * k))); });
      }
    } else {
      for (int64_t p = 0; p < call.pixels; ++p, pixel += call.pixel_stride) {
        Unrolled<kSums>([&](auto k) {
          sum[k] = _mm512_add_pd(sum[k], _mm512_cvtps_pd(_mm256_maskz_loadu_ps(lanes[k], pixel + 8 * k)));
        });
      }
    }
    Unrolled<kSums>([&](auto k) {
      _mm256_mask_storeu_ps(call.output + c + 8 * k, lanes[k], _mm512_cvtpd_ps(_mm512_div_pd(sum[k], pixels)));
    });
  }
}

}  // namespace bitstage::kernels::avx512_vnni
