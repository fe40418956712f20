#include <algorithm>
#include <cmath>

#include "engine/kernels/reference/reference.h"

namespace bitstage::kernels::reference {
namespace {

// Visits the pixels inside the image under the window of output pixel (y, x).
template <typename Visit>
void ForEachInside(const PoolCall& call, int64_t y, int64_t x, Visit visit) {
  for (int64_t ky = 0; ky < call.kernel_height; ++ky) {
    const int64_t in_y = y * call.stride_height + ky * call.dilation_height - call.pad_top;
    if (in_y < 0 || in_y >= call.in_height) continue;
    for (int64_t kx = 0; kx < call.kernel_width; ++kx) {
      const int64_t in_x = x * call.stride_width + kx * call.dilation_width - call.pad_left;
      if (in_x < 0 || in_x >= call.in_width) continue;
      visit(call.input + (in_y * call.in_width + in_x) * call.input_pixel_stride);
    }
  }
}

// How many of `kernel` positions from `begin` on lie in [low, high).
int64_t CountWithin(int64_t begin, int64_t kernel, int64_t dilation, int64_t low, int64_t high) {
  int64_t count = 0;
  for (int64_t k = 0; k < kernel; ++k) {
    const int64_t position = begin + k * dilation;
    count += static_cast<int64_t>(position >= low && position < high);
  }
  return count;
}

int64_t Count(const PoolCall& call, int64_t y, int64_t x) {
  const bool padded = call.count_include_pad;
  const int64_t rows = CountWithin(y * call.stride_height - call.pad_top, call.kernel_height, call.dilation_height,
                                   padded ? -call.pad_top : 0, call.in_height + (padded ? call.pad_bottom : 0));
  const int64_t columns = CountWithin(x * call.stride_width - call.pad_left, call.kernel_width, call.dilation_width,
                                      padded ? -call.pad_left : 0, call.in_width + (padded ? call.pad_right : 0));
  return std::max<int64_t>(1, rows * columns);
}

}  // namespace

void MaxPool(const PoolCall& call) {
  for (int64_t y = call.row_begin; y < call.row_end; ++y) {
    for (int64_t x = 0; x < call.out_width; ++x) {
      uint8_t* output = call.output + (y * call.out_width + x) * call.output_pixel_stride;
      std::fill_n(output, call.channels, uint8_t{0});
      ForEachInside(call, y, x, [&](const uint8_t* pixel) {
        for (int64_t c = 0; c < call.channels; ++c) output[c] = std::max(output[c], pixel[c]);
      });
    }
  }
}

void AveragePool(const PoolCall& call) {
  for (int64_t y = call.row_begin; y < call.row_end; ++y) {
    for (int64_t x = 0; x < call.out_width; ++x) {
      uint8_t* output = call.output + (y * call.out_width + x) * call.output_pixel_stride;
      const auto count = static_cast<float>(Count(call, y, x));
      for (int64_t c = 0; c < call.channels; ++c) {
        int32_t sum = 0;
        ForEachInside(call, y, x, [&](const uint8_t* pixel) { sum += pixel[c] - call.zero_point; });
        const float t = std::fma(static_cast<float>(sum), call.transform.mult[c] / count, call.transform.add[c]);
        output[c] = Code(call.transform, c, t);
      }
    }
  }
}

void Mean(const MeanCall& call) {
  for (int64_t c = 0; c < call.channels; ++c) {
    double sum = 0;
    for (int64_t p = 0; p < call.pixels; ++p) sum += call.input[p * call.pixel_stride + c];
    call.output[c] = static_cast<float>(sum / static_cast<double>(call.pixels));
  }
}

}  // namespace bitstage::kernels::reference
