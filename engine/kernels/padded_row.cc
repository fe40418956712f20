#include "engine/kernels/padded_row.h"

#include <algorithm>
#include <cstring>

namespace bitstage::kernels {

void CopyPaddedRow(const ConvShape& shape, const ConvCall& call, int64_t in_y, int64_t width, uint8_t* to) {
  const int64_t channels = shape.in_channels;
  const bool inside = in_y >= 0 && in_y < shape.in_height;
  const int64_t first = inside ? std::min(shape.pad_left, width) : width;
  const int64_t last = std::clamp(shape.pad_left + shape.in_width, first, width);
  std::memset(to, call.zero_point, static_cast<size_t>(first * channels));
  std::memset(to + last * channels, call.zero_point, static_cast<size_t>((width - last) * channels));
  if (first == last) return;
  to += first * channels;
  const uint8_t* from = call.input + in_y * shape.in_width * call.input_pixel_stride;
  if (call.input_pixel_stride == channels) {
    std::memcpy(to, from, static_cast<size_t>((last - first) * channels));
    return;
  }
  for (int64_t x = first; x < last; ++x, to += channels, from += call.input_pixel_stride) {
    std::memcpy(to, from, static_cast<size_t>(channels));
  }
}

}  // namespace bitstage::kernels
