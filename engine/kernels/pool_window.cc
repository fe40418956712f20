#include "engine/kernels/pool_window.h"

#include <algorithm>

#include "engine/base/checked_math.h"

namespace bitstage::kernels {
namespace {

struct Range {
  int64_t begin;
  int64_t count;
};

// The kernel positions k of [0, kernel) with low <= start + k·dilation < high.
Range Within(int64_t start, int64_t kernel, int64_t dilation, int64_t low, int64_t high) {
  const int64_t begin = start >= low ? 0 : DivideRoundUp(low - start, dilation);
  const int64_t end = start >= high ? 0 : std::min(kernel, DivideRoundUp(high - start, dilation));
  return {begin, std::max<int64_t>(0, end - begin)};
}

}  // namespace

PoolWindow WindowAt(const PoolCall& call, int64_t y, int64_t x) {
  const int64_t top = y * call.stride_height - call.pad_top;
  const int64_t left = x * call.stride_width - call.pad_left;
  const Range rows = Within(top, call.kernel_height, call.dilation_height, 0, call.in_height);
  const Range columns = Within(left, call.kernel_width, call.dilation_width, 0, call.in_width);
  PoolWindow window = {};
  window.rows = columns.count == 0 ? 0 : rows.count;
  window.columns = columns.count;
  window.column_bytes = call.dilation_width * call.input_pixel_stride;
  window.row_bytes = call.dilation_height * call.in_width * call.input_pixel_stride;
  window.count = rows.count * columns.count;
  if (window.count != 0) {
    const int64_t in_y = top + rows.begin * call.dilation_height;
    const int64_t in_x = left + columns.begin * call.dilation_width;
    window.first = call.input + (in_y * call.in_width + in_x) * call.input_pixel_stride;
  }
  if (call.count_include_pad) {
    window.count =
        Within(top, call.kernel_height, call.dilation_height, -call.pad_top, call.in_height + call.pad_bottom).count *
        Within(left, call.kernel_width, call.dilation_width, -call.pad_left, call.in_width + call.pad_right).count;
  }
  window.count = std::max<int64_t>(1, window.count);
  return window;
}

}  // namespace bitstage::kernels
