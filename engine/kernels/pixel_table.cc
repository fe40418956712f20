#include "engine/kernels/pixel_table.h"

#include <algorithm>
#include <cstring>

namespace bitstage::kernels {
namespace {

constexpr int64_t kTableEntries = 4096;  // 32 KB of pointers
constexpr int64_t kOverread = 64;        // as params.h allows

int64_t BandRows(const ConvShape& shape, int64_t width) {
  const int64_t rows = kTableEntries / width - (shape.kernel_height - 1) * shape.dilation_height;
  return std::clamp<int64_t>(rows / shape.stride_height, 1, shape.out_height);
}

}  // namespace

PixelTable::PixelTable(const ConvShape& shape, Scratch& scratch)
    : shape_(shape), width_(shape.ColumnsUnder(shape.out_width)), band_rows_(BandRows(shape, width_)) {
  const int64_t height = shape.RowsUnder(band_rows_);
  at_ = scratch.Take<const uint8_t*>(height * width_);
  taps_ = scratch.Take<int32_t>(shape.kernel_height * shape.kernel_width);
  pixels_ = scratch.Take<int32_t>(band_rows_ * shape.out_width + kMaxTilePixels);
  padding_ = scratch.Take<uint8_t>(shape.in_channels + kOverread);
}

void PixelTable::FillPadding(uint8_t zero_point) {
  std::memset(padding_, zero_point, static_cast<size_t>(shape_.in_channels + kOverread));
  int32_t* tap = taps_;
  for (int64_t ky = 0; ky < shape_.kernel_height; ++ky) {
    for (int64_t kx = 0; kx < shape_.kernel_width; ++kx) {
      *tap++ = static_cast<int32_t>(ky * shape_.dilation_height * width_ + kx * shape_.dilation_width);
    }
  }
}

void PixelTable::FillRow(const ConvCall& call, int64_t in_y, const uint8_t** row) const {
  const uint8_t* padding = padding_;
  if (in_y < 0 || in_y >= shape_.in_height) {
    std::fill_n(row, width_, padding);
    return;
  }
  const int64_t first = std::min(shape_.pad_left, width_);
  const int64_t last = std::clamp(shape_.pad_left + shape_.in_width, first, width_);
  std::fill_n(row, first, padding);
  const uint8_t* pixel = call.input + in_y * shape_.in_width * call.input_pixel_stride;
  for (int64_t x = first; x < last; ++x, pixel += call.input_pixel_stride) row[x] = pixel;
  std::fill(row + last, row + width_, padding);
}

void PixelTable::FillBand(const ConvCall& call, int64_t row_begin, int64_t rows) {
  const int64_t height = shape_.RowsUnder(rows);
  for (int64_t y = 0; y < height; ++y) {
    FillRow(call, row_begin * shape_.stride_height - shape_.pad_top + y, at_ + y * width_);
  }
  int32_t* pixel = pixels_;
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t x = 0; x < shape_.out_width; ++x) {
      *pixel++ = static_cast<int32_t>(y * shape_.stride_height * width_ + x * shape_.stride_width);
    }
  }
  std::fill_n(pixel, kMaxTilePixels, pixel[-1]);
}

}  // namespace bitstage::kernels
