// PatchConv: what the tiers share of a dense convolution whose output leaves its registers as codes. The input pixels
// under an output pixel, its patch, lie one after the other in memory, and the patches of neighbouring output pixels
// at equal distances, so that the inner loop needs no pointer but the first. A layer gets its patches in one of three
// ways (PatchSource): it has them already (1 x 1), has them row by row once the input is padded, or copies them.
//
// A tile is `pixels` output pixels times `blocks` registers of `lanes` output channels. A patch is `segments` pieces of
// `steps` times four bytes. Where rows of a kernel are no whole steps, what is left of all of them, the rests, may
// follow in segments of one step, copied. Weights are packed
//     [ceil(out_channels / lanes)][segments · steps + rest_segments][lanes][4]      int8, what is missing is 0
// so that a patch may be followed by anything; where few values occur, in two or four bits (packed_weights.h), and then
// opened just before they are used.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/packed_weights.h"
#include "engine/kernels/padded_transform.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

struct PatchTile {
  const uint8_t* patch;  // of the first pixel
  int64_t pixel_bytes;   // from one pixel's patch to the next
  int64_t segments;
  int64_t segment_bytes;  // from one segment of a patch to the next
  int64_t steps;          // of a segment
  int64_t rest_segments;  // of one step, that follow; or 0
  const uint8_t* rests;   // the first pixel's; the others' pixel_bytes apart, too; or of no meaning
  int64_t rest_bytes;     // from one such segment to the next
  const int8_t* weights;
  int64_t block_bytes;      // from one block of lanes to the next: (segments · steps + rest_segments) · lanes · 4
  const int32_t* acc_init;  // blocks · lanes
  const std::byte* ahead = nullptr;  // to be brought near by tiles of seven pixels, a cache line a step; or null

  // What follows is at the tile's first pixel and channel.
  PaddedTransform transform;
  int64_t pixels;           // to write; a tile computes all of its own, and those of PatchTier::runs as many as this
  int64_t channels;         // to write
  const uint8_t* residual;  // or null
  int64_t residual_pixel_stride;
  void* output;
  int64_t output_pixel_stride;  // in elements of the output's type
};

// `count` patches of `rows` pieces of `row_bytes`, one behind the other; piece r of patch i from
// rows[r] + i · pixel_bytes. May read and write up to 63 bytes past the end of either.
struct PatchCopy {
  const uint8_t* const* from;
  int64_t rows;
  int64_t row_bytes;
  int64_t pixel_bytes;
  uint8_t* to;
  int64_t to_bytes;  // from one patch to the next
  int64_t count;
};

// Rests of `count` pixels: byte b of step s from rows[r][pixel · pixel_bytes + i], where r · row_rest + i is 4 · s + b
// and i less than row_rest; it goes to to[s · step_bytes + pixel · pixel_bytes + b]. Reads up to 3 bytes before and 63
// past what it needs, writes as many past; what it writes between is of no meaning. pixel_bytes is between 4 and 64.
struct PatchRests {
  const uint8_t* const* from;
  int64_t rows;
  int64_t row_rest;
  int64_t pixel_bytes;
  uint8_t* to;
  int64_t step_bytes;
  int64_t count;
};

// Packed weights of blocks [block, block + blocks) to int8, [block][section][vector][64].
struct PatchWeights {
  PackedView packed;
  PackedShape shape;
  int64_t block;
  int64_t blocks;
  int8_t* to;
};

inline constexpr int kPatchBlocks = 4;
inline constexpr int kPatchTileSizes = 3;
inline constexpr int kPatchLongTileSizes = 2;

struct PatchTier {
  int64_t lanes;
  struct Tile {
    int64_t pixels;
    void (*run)(const PatchTile& tile);
    bool ahead = false;  // brings PatchTile::ahead near: a burst of prefetches between tiles would hold up the next one
  };
  // By blocks − 1. Of those equally useful to some pixels, the first; the last ones are for short rows alone.
  Tile tiles[kPatchTileSizes][kPatchBlocks];
  // For patches of one segment, to codes that stay within int32 or by words: takes `pixels` or more, so many at a time.
  Tile runs[kPatchBlocks];
  void (*single[kPatchBlocks])(const PatchTile& tile);  // one pixel
  void (*copy)(const PatchCopy& copy);
  void (*copy_rests)(const PatchRests& rests);
  void (*open)(const PatchWeights& weights);
  double macs_per_cycle;  // of a tile
  double pixel_cycles;    // to turn a block of lanes of one pixel into codes
};

bool PatchSupports(const ConvShape& shape);
double PatchCycles(const PatchTier& tier, const ConvShape& shape);
size_t PatchPackedBytes(const PatchTier& tier, const ConvShape& shape, const int8_t* weights);
void PatchPack(const PatchTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed);
void PatchScale(const PatchTier& tier, const ConvShape& shape, int factor, std::byte* packed);
size_t PatchScratchBytes(const PatchTier& tier, const ConvShape& shape);
void PatchRun(const PatchTier& tier, const ConvShape& shape, const ConvCall& call);

}  // namespace bitstage::kernels
