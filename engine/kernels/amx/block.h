// Block: what one call of a micro-kernel computes, up to four tiles of sums, as rows x columns of tiles: 2 x 2 for maps
// of many pixels, 4 x 1, which uses every tile of weights once, for maps of up to four tiles.
//
// The sums of a block leave its tiles as they are; turning them into codes is vector work, and is done piece by piece
// between the products of the next block.
#pragma once

#include <cstdint>

#include "engine/kernels/params.h"

namespace bitstage::kernels::amx {

// The sums of a block on their way to codes; or none: lines == 0. All pointers to arrays of channels are at the block's
// first channel.
struct PendingSums {
  const int32_t* sums;    // lines x (16 · columns), readable for three lines more
  const int32_t* pixels;  // the output pixel of each line; negative: no pixel. Three negative entries follow the last
  int64_t lines;
  int64_t channels;  // <= 16 · columns
  const int32_t* acc_init;
  OutputTransform transform;  // to codes
  const uint8_t* residual;    // or null
  int64_t residual_pixel_stride;
  uint8_t* output;
  int64_t output_pixel_stride;
  uint8_t* nowhere;  // 64 bytes to read and write for lines without a pixel
};

struct Block {
  const uint8_t* codes[4];    // each tile's first line, of step 0
  int64_t line_stride;        // bytes from one line of a tile to the next
  const int32_t* step_bytes;  // from step 0 to each step
  int64_t steps;

  // Tiles of int8 weights: step k of column c is at weights + (k & weights_mask) · 1024 + c · weights_column.
  const int8_t* weights;
  int64_t weights_mask;
  int64_t weights_column;
  // Where the tiles are opened from, in the micro-kernels that do: step k of column c from
  // packed + k · (packed size of a tile) + c · packed_column, to `opened`, which is `weights`.
  const uint8_t* packed;
  int64_t packed_column;
  const int8_t (*values)[64];  // WeightsHeader
  int8_t* opened;

  int32_t* sums;        // out: as PendingSums has them
  int64_t rows;         // of a tile
  PendingSums pending;  // of the block before, of as many columns
};

// Where a micro-kernel's weights come from: int8 tiles near by, int8 tiles from afar (prefetched), opened from 4 bits,
// opened from 2 bits.
enum WeightSource : uint8_t { kNear, kFar, kFourBits, kTwoBits, kWeightSources };

// Steps that opening runs ahead of the products; a ring of opened tiles holds a power of two more than that.
inline constexpr int64_t kOpenAhead = 3;
inline constexpr int64_t kRingTiles = 8;

using MicroKernelFunction = void (*)(const Block& block);

// [tiles of rows − 1][source], for blocks of one and of two columns. Requires the shapes of ConfigureFor.
extern const MicroKernelFunction kOneColumn[4][kWeightSources];
extern const MicroKernelFunction kTwoColumns[2][kWeightSources];

// Tiles for blocks of `columns` columns with `rows` lines a tile; Release when all is done.
void ConfigureFor(int64_t columns, int64_t rows);
void Release();

// Finishes what no block follows.
void FinishOneColumn(const PendingSums& pending);
void FinishTwoColumns(const PendingSums& pending);

}  // namespace bitstage::kernels::amx
