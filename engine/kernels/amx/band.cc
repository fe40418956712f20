#include "engine/kernels/amx/band.h"

#include <algorithm>
#include <cstring>

#include "engine/base/checked_math.h"
#include "engine/kernels/amx/lines.h"
#include "engine/kernels/padded_row.h"

namespace bitstage::kernels::amx {
namespace {

constexpr int64_t kNoLines = 3;  // behind the last tile

// Entries of the table of pixels: rows of lines, each rounded up to tiles, and the last tile.
int64_t MostLines(const ConvShape& shape, const Layout& layout) {
  return layout.band_rows() * (std::max(layout.pitch(), shape.out_width) + DivideRoundUp(shape.out_width, kMaxRows)) +
         kMaxRows + kNoLines;
}

}  // namespace

Band::Band(const ConvShape& shape, const Layout& layout, const ConvCall& call, Scratch& scratch)
    : shape_(shape), layout_(layout), call_(call) {
  scratch_lines_ = scratch.Take<uint8_t>(layout.lines_bytes() + kLine);
  padded_ = scratch.Take<uint8_t>(layout.padded_bytes());
  step_bytes_ = scratch.Take<int32_t>(layout.steps());
  first_lines_ = scratch.Take<int32_t>(MostLines(shape, layout));
  pixels_ = scratch.Take<int32_t>(MostLines(shape, layout));
}

bool Band::FindInPlace() const {
  const bool one_by_one = shape_.kernel_height == 1 && shape_.kernel_width == 1 && shape_.stride_height == 1 &&
                          shape_.stride_width == 1 && shape_.pad_top == 0 && shape_.pad_left == 0;
  const bool inside = shape_.out_height <= shape_.in_height && shape_.out_width == shape_.in_width;
  // Loading a tile of lines that cross cache lines costs three to four times as much.
  const bool aligned = call_.input_pixel_stride % kLine == 0 && reinterpret_cast<uintptr_t>(call_.input) % kLine == 0;
  return one_by_one && inside && aligned && !layout_.gathered();
}

void Band::Begin() {
  in_place_ = FindInPlace();
  const bool by_pixel = in_place_ || layout_.gathered();
  line_stride_ = in_place_ ? call_.input_pixel_stride : layout_.gathered() ? layout_.steps() * kLine : kLine;
  for (int64_t step = 0; step < layout_.steps(); ++step) {
    step_bytes_[step] = static_cast<int32_t>(by_pixel ? step * kLine : layout_.StepOffset(step));
  }
}

void Band::Fill(int64_t y, int64_t rows) {
  const int64_t first_pixel = y * shape_.out_width;
  const int64_t pixels = rows * shape_.out_width;
  lines_ = scratch_lines_;
  if (in_place_) {
    lines_ = call_.input + first_pixel * call_.input_pixel_stride;
  } else if (layout_.gathered()) {
    FillGathered(y, rows);
  } else {
    FillShared(y, rows);
    CutTiles(first_pixel, rows, shape_.out_width, layout_.pitch());
    return;
  }
  CutTiles(first_pixel, 1, pixels, pixels);
}

void Band::CutTiles(int64_t first_pixel, int64_t height, int64_t width, int64_t pitch) {
  tiling_ = ChooseTiling(height, width, pitch);
  const int64_t lines = (height - 1) * pitch + width;
  int32_t* pixel = pixels_;
  int64_t row = 0;  // of the tile's first line
  int64_t column = 0;
  for (int64_t tile = 0; tile < tiling_.count; ++tile) {
    int64_t first = row * pitch + column;
    int64_t skipped = 0;
    // Behind the lines in scratch memory there is room to read, behind those of the input there is none.
    if (in_place_) skipped = std::max<int64_t>(0, first + tiling_.rows - lines);
    first_lines_[tile] = static_cast<int32_t>(first - skipped);
    for (int64_t i = 0; i < skipped; ++i) *pixel++ = -1;
    for (int64_t i = skipped; i < tiling_.rows; ++i, ++column) {
      if (tiling_.flat && column == pitch) {
        column = 0;
        ++row;
      }
      const bool is_pixel = row < height && column < width;
      *pixel++ = is_pixel ? static_cast<int32_t>(first_pixel + row * width + column) : -1;
    }
    if (!tiling_.flat && column >= width) {
      column = 0;
      ++row;
    }
  }
  std::fill_n(pixel, kNoLines, -1);
}

void Band::FillShared(int64_t y, int64_t rows) {
  const Axis& down = layout_.down();
  const Axis& across = layout_.across();
  const int64_t cells_down = rows + down.reach - 1;
  for (int64_t p_down = 0; p_down < down.planes; ++p_down) {
    for (int64_t cell = 0; cell < cells_down; ++cell) {
      const int64_t in_y = (y + cell) * down.stride + down.Phase(p_down);
      const bool inside = in_y >= 0 && in_y < shape_.in_height;
      for (int64_t p_across = 0; p_across < across.planes; ++p_across) {
        // Cells first … last − 1 lie within the image: 0 <= cell · stride + phase < width.
        const int64_t phase = across.Phase(p_across);
        LineRow row = {};
        row.cells = layout_.row_cells();
        row.zero_point = call_.zero_point;
        row.from_stride = across.stride * call_.input_pixel_stride;
        row.first = row.last = row.cells;
        if (inside) {
          const int64_t first = phase >= 0 ? 0 : DivideRoundUp(-phase, across.stride);
          const int64_t end = shape_.in_width > phase ? DivideRoundUp(shape_.in_width - phase, across.stride) : 0;
          row.first = std::min(first, row.cells);
          row.last = std::clamp(end, row.first, row.cells);
        }
        const int64_t pixel = in_y * shape_.in_width + row.first * across.stride + phase;
        for (int64_t block = 0; block < layout_.channel_blocks(); ++block) {
          if (row.first < row.last) row.from = call_.input + pixel * call_.input_pixel_stride + block * kLine;
          row.to = scratch_lines_ + layout_.PlaneOffset(block, p_down, p_across) + cell * layout_.pitch() * kLine;
          CopyLines(row);
        }
      }
    }
  }
}

void Band::FillGathered(int64_t y, int64_t rows) {
  const int64_t channels = shape_.in_channels;
  const int64_t row_bytes = layout_.padded_row_bytes();
  for (int64_t row = 0; row < shape_.RowsUnder(rows); ++row) {
    CopyPaddedRow(shape_, call_, y * shape_.stride_height + row - shape_.pad_top, row_bytes / channels,
                  padded_ + row * row_bytes);
  }
  Gather gather = {};
  gather.pixel_stride = shape_.stride_width * channels;
  gather.runs_a_row = layout_.runs() / shape_.kernel_height;
  gather.run_stride = shape_.dilation_width * channels;
  gather.row_stride = shape_.dilation_height * row_bytes;
  gather.rows = shape_.kernel_height;
  gather.run_bytes = layout_.run_bytes();
  gather.count = shape_.out_width;
  gather.to_stride = layout_.steps() * kLine;
  for (int64_t row = 0; row < rows; ++row) {
    gather.from = padded_ + row * shape_.stride_height * row_bytes;
    gather.to = scratch_lines_ + row * shape_.out_width * gather.to_stride;
    GatherLines(gather);
  }
}

}  // namespace bitstage::kernels::amx
