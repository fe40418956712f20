// OutputTile: the accumulators of some pixels on their way to the output; what a tier's output transform works on.
#pragma once

#include <cstdint>

#include "engine/kernels/params.h"

namespace bitstage::kernels {

// All pointers, those of `transform` too, are at the tile's first channel (and first pixel).
struct OutputTile {
  OutputTransform transform;
  int64_t channels;
  int64_t pixels;
  const int32_t* acc;       // readable up to 64 bytes past the last pixel's channels
  int64_t acc_stride;       // accumulators from one pixel to the next
  const uint8_t* residual;  // or null
  int64_t residual_pixel_stride;
  void* output;
  int64_t output_pixel_stride;  // in elements of the output's type
};

using TransformFunction = void (*)(const OutputTile& tile);

// `transform` from channel `channel` on.
OutputTransform From(const OutputTransform& transform, int64_t channel);

// The tile of a convolution's output that begins at output pixel `pixel` (row-major) and channel `channel`.
OutputTile TileAt(const ConvCall& call, int64_t pixel, int64_t channel);

}  // namespace bitstage::kernels
