// WinogradNarrow: what tiers share of the exact Winograd form F(2 x 2, 3 x 3) for 16 input channels (winograd_conv.h
// has the form for any number, and its derivation). 16 codes are one 128-bit lane, so a register holds the pixels of
// four tiles, its dwords after the products four tiles times four outputs, and codes come out in the order of channels.
//
// With G = 2 · [1 0 0; ½ ½ ½; ½ −½ ½; 0 0 1], Bᵀ = [1 0 −1 0; 0 1 1 0; 0 −1 1 0; 0 1 0 −1], Aᵀ = [1 1 1 0; 0 1 −1 −1]:
//     4 · Y = Aᵀ · (G·w·Gᵀ ⊙ Bᵀ·d·B) · A.
// Position (1, 1) of Bᵀ·d·B is a sum of four codes, all others lie within ± 2 · 63 and are stored 128 higher.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/padded_transform.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

inline constexpr int64_t kNarrowChannels = 16;  // of the input, and of a block of outputs
inline constexpr int64_t kNarrowTiles = 4;      // neighbours computed together: 8 x 2 outputs

inline constexpr int64_t kNarrowBlockBytes = 16 * 16 * 16 * 4 + 4 * 16 * 4;  // packed: weights, corrections
inline constexpr int64_t kNarrowGroups = 8;
inline constexpr int64_t kNarrowScratch = kNarrowGroups * 32 * 64;

// Some groups of four tiles of one row, and all output channels.
struct NarrowTiles {
  int64_t groups;        // 1 … kNarrowGroups
  const uint8_t* input;  // padded, the first tile's first pixel; readable for 2 pixels past the last tile's
  int64_t row_bytes;
  int64_t blocks;
  const std::byte* weights;  // by block
  const int32_t* start;      // by block: [2 x 2 outputs of a tile][16], four times the accumulators' starts
  PaddedTransform transform;
  std::byte* scratch;  // kNarrowScratch
  int64_t rows;        // to write: 1 or 2
  int64_t columns;     // to write: more than 8 · (groups − 1)
  // At the first pixel; the second row lies row_pixels pixels further.
  const uint8_t* residual;  // or null
  int64_t residual_pixel_stride;
  void* output;
  int64_t output_pixel_stride;
  int64_t row_pixels;
};

using NarrowFunction = void (*)(const NarrowTiles& tiles);

bool NarrowSupports(const ConvShape& shape, int max_code, int max_weight);
// tile_cycles: of four tiles' input, block_cycles: of four tiles and a block of outputs.
double NarrowCycles(const ConvShape& shape, double tile_cycles, double block_cycles);
// By block: [position, row-major][input channels by fours][outputs by fours][4 tiles][4 outputs][4 inputs] int8, then
// [2 x 2 outputs of a tile][16] int32: what the 128 added to the positions take away from 4 · Y.
size_t NarrowPackedBytes(const ConvShape& shape);
void NarrowPack(const ConvShape& shape, const int8_t* weights, std::byte* packed);
void NarrowScale(const ConvShape& shape, int factor, std::byte* packed);
size_t NarrowScratchBytes(const ConvShape& shape);
void NarrowRun(NarrowFunction run, const ConvShape& shape, const ConvCall& call);

}  // namespace bitstage::kernels
