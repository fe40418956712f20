#include "engine/kernels/amx/layout.h"

#include <algorithm>
#include <numeric>

#include "engine/base/checked_math.h"

namespace bitstage::kernels::amx {
namespace {

// A shared layout is read once for every 32 output channels: it should stay in half the L2 cache, or less. A gathered
// one is used up by all output channels soon after it was written, out of the L1 cache.
constexpr int64_t kSharedBytes = 384 << 10;
constexpr int64_t kGatheredBytes = 24 << 10;

// Cycles of a tile's loads by the number of tiles that share a tile of weights, between what L1 and L2 take.
constexpr double kLoadCycles = 14;

}  // namespace

Axis::Axis(int64_t stride_, int64_t kernel_, int64_t dilation_, int64_t pad_)
    : stride(stride_),
      kernel(kernel_),
      dilation(dilation_),
      pad(pad_),
      period(stride_ / std::gcd(stride_, dilation_)),
      planes(std::min(period, kernel_)),
      reach((kernel_ - 1) * dilation_ / stride_ + 1) {}

// Measured: 16.0 of 16 rows, 14.7 of 14, 13.3 of 12, 10.0 of 8, 9.3 of 7 and fewer.
double TileCycles(int64_t rows) { return std::max(9.3, 4.1 + 0.745 * static_cast<double>(rows)); }

Tiling ChooseTiling(int64_t height, int64_t width, int64_t pitch) {
  Tiling best = {};
  double least = 0;
  const auto consider = [&](const Tiling& tiling) {
    const double cycles = static_cast<double>(tiling.count) * TileCycles(tiling.rows);
    if (best.count != 0 && cycles >= least) return;
    best = tiling;
    least = cycles;
  };
  const int64_t tiles_a_row = DivideRoundUp(width, kMaxRows);
  consider({DivideRoundUp(width, tiles_a_row), false, tiles_a_row, height * tiles_a_row});
  const int64_t lines = (height - 1) * pitch + width;
  for (int64_t rows = std::min(kMaxRows, lines); rows > 0 && rows >= kMaxRows / 2 - 1; --rows) {
    consider({rows, true, 0, DivideRoundUp(lines, rows)});
  }
  return best;
}

Layout::Layout(const ConvShape& shape) : Layout(shape, false) {
  // With whole lines of channels at each position there is nothing to gather.
  if (shape.in_channels % kLine == 0) return;
  const Layout other(shape, true);
  if (other.Cycles() < Cycles()) *this = other;
}

Layout::Layout(const ConvShape& shape, bool gathered)
    : shape_(shape),
      down_(shape.stride_height, shape.kernel_height, shape.dilation_height, shape.pad_top),
      across_(shape.stride_width, shape.kernel_width, shape.dilation_width, shape.pad_left),
      channel_blocks_(DivideRoundUp(shape.in_channels, kLine)),
      taps_(shape.kernel_height * shape.kernel_width),
      gathered_(gathered) {
  if (gathered) {
    PlanGathered();
  } else {
    PlanShared();
  }
}

void Layout::PlanShared() {
  steps_ = channel_blocks_ * taps_;
  row_cells_ = shape_.out_width + across_.reach - 1;
  const int64_t right = row_cells_ - shape_.pad_left - shape_.in_width;
  // Each output pixel of a row has a line of its own: pitch_ >= out_width.
  const int64_t most = std::min({shape_.pad_left, right, across_.reach - 1});
  const int64_t shared = shape_.stride_width == 1 ? std::max<int64_t>(0, most) : 0;
  pitch_ = row_cells_ - shared;
  const int64_t row_bytes = channel_blocks_ * down_.planes * across_.planes * pitch_ * kLine;
  band_rows_ = std::clamp<int64_t>(kSharedBytes / row_bytes - (down_.reach - 1), 1, shape_.out_height);
  plane_bytes_ = ((band_rows_ + down_.reach - 1) * pitch_ + shared + kMaxRows) * kLine;
  lines_bytes_ = channel_blocks_ * down_.planes * across_.planes * plane_bytes_;
}

void Layout::PlanGathered() {
  steps_ = DivideRoundUp(taps_ * shape_.in_channels, kLine);
  pitch_ = shape_.out_width;
  const bool neighbours = shape_.dilation_width == 1;
  run_bytes_ = (neighbours ? shape_.kernel_width : 1) * shape_.in_channels;
  runs_ = shape_.kernel_height * (neighbours ? 1 : shape_.kernel_width);
  const int64_t row_bytes = shape_.out_width * steps_ * kLine;
  band_rows_ = std::clamp<int64_t>(kGatheredBytes / row_bytes, 1, shape_.out_height);
  lines_bytes_ = (band_rows_ * shape_.out_width + kMaxRows) * steps_ * kLine;
  const auto reach = [](int64_t outputs, const Axis& axis) {
    return (outputs - 1) * axis.stride + (axis.kernel - 1) * axis.dilation + 1;
  };
  padded_row_bytes_ = reach(shape_.out_width, across_) * shape_.in_channels;
  padded_bytes_ = reach(band_rows_, down_) * padded_row_bytes_ + kLine;
}

bool Layout::TermAt(int64_t step, int64_t byte, int64_t* channel, int64_t* tap) const {
  if (gathered_) {
    const int64_t term = step * kLine + byte;
    *tap = term / shape_.in_channels;
    *channel = term % shape_.in_channels;
    return *tap < taps_;
  }
  *tap = step % taps_;
  *channel = step / taps_ * kLine + byte;
  return *channel < shape_.in_channels;
}

int64_t Layout::StepOffset(int64_t step) const {
  const int64_t y = step % taps_ / shape_.kernel_width;
  const int64_t x = step % shape_.kernel_width;
  return PlaneOffset(step / taps_, down_.Plane(y), across_.Plane(x)) +
         (down_.Shift(y) * pitch_ + across_.Shift(x)) * kLine;
}

double Layout::FillCycles() const {
  const auto pixels = static_cast<double>(shape_.out_height * shape_.out_width);
  if (gathered_) {
    const auto copies = static_cast<double>(runs_ * DivideRoundUp(run_bytes_, kLine));
    const auto padded = static_cast<double>(shape_.in_height * shape_.in_width * shape_.in_channels);
    return pixels * copies * 1.5 + padded / 16;
  }
  const auto rows = static_cast<double>(shape_.out_height + down_.reach - 1);
  return rows * static_cast<double>(channel_blocks_ * down_.planes * across_.planes * pitch_) * 2.5;
}

double Layout::ProductCycles() const {
  const int64_t rows = std::min(band_rows_, shape_.out_height);
  const Tiling tiling = ChooseTiling(rows, shape_.out_width, pitch_);
  const double bands = static_cast<double>(shape_.out_height) / static_cast<double>(rows);
  const auto tiles = static_cast<double>(tiling.count);
  // Up to four tiles share one load of weights; blocks of two by two load a tile for each product.
  const double loads = tiling.count >= 4 ? 1.0 : (tiles + 1) / tiles;
  const double product = std::max(TileCycles(tiling.rows), loads * kLoadCycles) * 1.05;
  return bands * tiles * static_cast<double>(DivideRoundUp(shape_.out_channels, kColumns) * steps_) * product;
}

double Layout::Cycles() const { return FillCycles() + ProductCycles(); }

}  // namespace bitstage::kernels::amx
