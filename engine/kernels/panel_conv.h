// PanelConv: what register tiles share that walk over contiguous runs of codes: the packing, the padded copy of the
// input, the walk over bands of rows, groups, panels of output channels and tiles. A tier adds the register tile
// (PanelTier).
//
// A run is what an output pixel reads without a gap: a row of the kernel, KW·C codes, where there is one group and no
// dilation along the row; else the codes of one kernel position. Runs are cut into steps of four bytes: four codes, or
// two where the copy widens codes to 16 bits. Weights are packed
//     [group][panel][run][step][block of the panel][lanes][codes of a step]         int8, missing channels 0
// a panel being up to max_blocks blocks of `lanes` output channels. Where codes are wide, weights are widened too, a
// panel at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/output_tile.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

struct PanelTile {
  const std::byte* base;
  const int32_t* pixels;  // from base to each output pixel's first run, in bytes
  const int32_t* runs;    // from an output pixel's first run to each, in bytes
  int64_t run_count;
  int64_t steps;       // of a run
  int64_t step_bytes;  // of weights: blocks · lanes · 4
  const std::byte* weights;
  int64_t flush_steps;      // after so many, at least one, a 16-bit lane of two products may be full
  const int32_t* acc_init;  // blocks · lanes
  int32_t* acc;             // out: pixels x (blocks · lanes)
};

using PanelMicroKernel = void (*)(const PanelTile& tile);

inline constexpr int kMaxPanelBlocks = 2;
inline constexpr int kMaxPanelPixels = 12;

struct PanelTier {
  int64_t lanes;
  int64_t max_blocks;
  bool wide;  // codes and weights of 16 bits
  struct Tile {
    int64_t pixels;
    PanelMicroKernel run[kMaxPanelPixels];  // [pixels − 1]; null where the next larger one serves
  } tiles[kMaxPanelBlocks];                 // [blocks − 1]
  // Writes `count` codes or weights as 16-bit numbers; may read 64 bytes past the last, and write 64 past the end.
  void (*widen_codes)(const uint8_t* codes, int64_t count, std::byte* wide);
  void (*widen_weights)(const std::byte* weights, int64_t count, std::byte* wide);
  TransformFunction transform;
};

// Two neighbouring products, each at most max_code · max_weight, added `result` times fit 16 bits; at least 1.
int64_t FlushSteps(int max_code, int max_weight);

// macs_per_cycle: of the register tile with all lanes busy.
double PanelCycles(const PanelTier& tier, const ConvShape& shape, double macs_per_cycle);
size_t PanelPackedBytes(const PanelTier& tier, const ConvShape& shape);
void PanelPack(const PanelTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed);
size_t PanelScratchBytes(const PanelTier& tier, const ConvShape& shape);
void PanelRun(const PanelTier& tier, const ConvShape& shape, const ConvCall& call);

}  // namespace bitstage::kernels
