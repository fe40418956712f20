// CodeLayout: how the codes of a value lie in memory, by its shape.
//
//   rank 0, 1   K               1 pixel of K channels                  grid channel = channel
//   rank 3      C x H x W       H x W pixels of C channels             grid channel = channel
//   the rest    A x … x Z       row-major as in ONNX, A pixels         grid channel = pixel
//
// Per-channel arithmetic on a value of the last kind needs a uniform grid.
#pragma once

#include <cstdint>

#include "engine/runtime/step.h"
#include "engine/tensor/grid.h"
#include "engine/tensor/shape.h"

namespace bitstage {

struct CodeLayout {
  int64_t height = 1;
  int64_t width = 1;
  int64_t channels = 1;
  bool grid_by_pixel = false;

  static CodeLayout Of(const Shape& shape);

  [[nodiscard]] int64_t pixels() const { return height * width; }
  // Element i of the ONNX layout: its pixel, its channel, its channel in the grid.
  [[nodiscard]] int64_t PixelOf(int64_t i) const { return grid_by_pixel ? i / channels : i % pixels(); }
  [[nodiscard]] int64_t ChannelOf(int64_t i) const { return grid_by_pixel ? i % channels : i / pixels(); }
  [[nodiscard]] int64_t GridChannelOf(int64_t i) const { return grid_by_pixel ? PixelOf(i) : ChannelOf(i); }
  // The element of the ONNX layout at (pixel, channel).
  [[nodiscard]] int64_t ElementAt(int64_t pixel, int64_t channel) const {
    return grid_by_pixel ? pixel * channels + channel : channel * pixels() + pixel;
  }
};

// The shape that codes have outside the engine: H x W x C for C x H x W, else the value's own.
Shape CodeShape(const Shape& shape);

// One step, one width, one shift for the whole tensor.
inline bool IsUniform(const Grid& grid) {
  return grid.step.size() == 1 && grid.bits.size() == 1 && grid.shift.size() == 1;
}

// A value held as codes, as steps see it. The grid must outlive whoever holds this.
struct CodeOperand {
  Place place;
  CodeLayout layout;
  const Grid* grid = nullptr;

  // Do per-channel arrays describe this value?
  [[nodiscard]] bool HasChannels() const { return !layout.grid_by_pixel || IsUniform(*grid); }
};

}  // namespace bitstage
