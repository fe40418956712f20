// The parameters of the output transform, from grids (docs/integer-arithmetic.md §3): computed in double, rounded once.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/graph/ops.h"
#include "engine/kernels/params.h"
#include "engine/kernels/words.h"
#include "engine/tensor/grid.h"

namespace bitstage {

// The output side of a channel: t = real / unit + offset.
struct OutputScale {
  double unit = 1;    // d_o · S
  double offset = 0;  // z / S
};

// A null grid stands for a float output: unit 1, offset 0.
OutputScale OutputScaleOf(const Grid* grid, int64_t channel);

// Owns what kernels::OutputTransform points at: one entry a channel, and zeros up to a multiple of 64.
struct TransformArrays {
  static size_t LanesOf(int64_t channels) { return (static_cast<size_t>(channels) + 63) / 64 * 64; }

  std::vector<float> mult, add, residual_mult, low, high;
  std::vector<uint8_t> low_codes, high_codes;  // empty for floats
  std::vector<uint8_t> shift;                  // empty: no shifts
  std::vector<uint64_t> doublings;             // likewise
  int doubling_count = 0;
  bool to_float = false;
  bool within_int32 = false;
  std::vector<int32_t> words;  // empty where codes do not come by words
  std::vector<uint8_t> word_masks;
  int word_shift = 0;

  // Codes come by words from now on, and what they do not need is let go.
  void Take(const kernels::Words& found);
  [[nodiscard]] kernels::OutputTransform View() const;
  [[nodiscard]] size_t bytes() const;
};

// Limits and shifts of an output on `grid` (null: float), mult and add sized for the caller to fill.
TransformArrays MakeTransform(const Grid* grid, int64_t channels, const std::optional<Clamp>& clamp);

}  // namespace bitstage
