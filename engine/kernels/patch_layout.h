// PatchLayout: how a convolution by patches (patch_conv.h) cuts a layer: where its patches come from, which tiles it
// takes, what a patch's steps are, and how many pixels it computes at a time.
//
// Not for files that are compiled with vector flags: its code is inline.
#pragma once

#include <cstdint>

#include "engine/base/checked_math.h"
#include "engine/kernels/packed_weights.h"
#include "engine/kernels/params.h"
#include "engine/kernels/patch_conv.h"

namespace bitstage::kernels {

enum class PatchSource : uint8_t {
  kInPlace,  // every output pixel reads the one input pixel of its own position
  kRows,     // the input's rows, padded: a segment is one row of the kernel
  kCopied,
};

// The share of computed pixels that are wanted, where tiles of `tile` pixels compute `pixels`.
inline double PatchUse(int64_t pixels, int64_t tile) {
  return static_cast<double>(pixels) / static_cast<double>(DivideRoundUp(pixels, tile) * tile);
}

// The sizes that follow from a shape.
struct PatchLayout {
  PatchLayout(const PatchTier& tier, const ConvShape& shape);

  int64_t blocks;
  int64_t row_bytes;  // of a patch
  int64_t width;      // input columns that a row of outputs reaches
  PatchSource source;
  int tile_size = 0;    // PatchTier::tiles
  int64_t tile_pixels;  // of a tile of as many blocks as there are
  int64_t segments, segment_weights, steps;
  int64_t rest_segments = 0;
  int64_t vectors;  // steps of a patch
  int64_t block_bytes;
  int64_t patch_bytes;
  int64_t pixel_bytes;       // of padded rows, from one output pixel to the next
  int64_t band_rows = 0;     // output rows whose padded input is copied at a time
  int64_t chunk_pixels = 0;  // output pixels computed (and their patches copied) at a time
  PackedShape packed;
};

}  // namespace bitstage::kernels
