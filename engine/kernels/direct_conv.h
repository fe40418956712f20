// DirectConv: what the tiers share of a direct convolution, dense or grouped: the packing, the walk over bands of rows,
// groups and register tiles. A tier adds the register tile itself (DirectTier).
//
// A tile is `pixels` output pixels times `blocks` registers of `lanes` output channels. Weights are packed
//     [group][ceil(group_out / lanes)][KH·KW][ceil(group_in / 4)][lanes][4]      int8, missing channels 0
// so that one register of weights meets four input channels of a pixel, broadcast.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/output_tile.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

struct DirectTile {
  const uint8_t* const* at;  // PixelTable
  const int32_t* pixels;
  const int32_t* taps;
  int64_t tap_count;
  int64_t channel;  // the group's first input channel
  int64_t steps;    // ceil(group_in / 4)
  const int8_t* weights;
  int64_t block_bytes;      // from one block of lanes to the next: tap_count · steps · lanes · 4
  const int32_t* acc_init;  // blocks · lanes
  int32_t* acc;             // out: pixels x (blocks · lanes)
};

using DirectMicroKernel = void (*)(const DirectTile& tile);

inline constexpr int kMaxTileBlocks = 4;

struct DirectTier {
  int64_t lanes;
  int64_t max_blocks;
  struct Tile {
    int64_t pixels;  // <= PixelTable::kMaxTilePixels
    DirectMicroKernel run;
    DirectMicroKernel run_single;  // one pixel
  } tiles[kMaxTileBlocks];         // [blocks − 1]
  TransformFunction transform;
};

// macs_per_cycle: of the register tile with all lanes busy.
double DirectCycles(const DirectTier& tier, const ConvShape& shape, double macs_per_cycle);
size_t DirectPackedBytes(const DirectTier& tier, const ConvShape& shape);
void DirectPack(const DirectTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed);
size_t DirectScratchBytes(const DirectTier& tier, const ConvShape& shape);
void DirectRun(const DirectTier& tier, const ConvShape& shape, const ConvCall& call);

}  // namespace bitstage::kernels
