// PanelConv: what register tiles share that walk over contiguous runs of codes: the packing, the padded copy of the
// input, the walk over bands of rows, groups, panels of output channels and tiles. A tier adds the register tile
// (PanelTier).
//
// A run is what an output pixel reads without a gap: a row of the kernel, KW·C codes, where there is one group and no
// dilation along the row; else the codes of one kernel position. Runs are cut into steps of four bytes: four codes, or
// two where the copy widens codes to 16 bits. Weights are
//     [group][panel][run][step][kMaxPanelBlocks][kPanelLanes][codes of a step]         int8, missing channels 0
// a panel being so many blocks of output channels, and are packed at their stored width (packed_weights.h), a
// run being a section. A panel is opened, and widened where codes are wide, just before its products.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/output_tile.h"
#include "engine/kernels/packed_weights.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

struct PanelTile {
  const std::byte* base;
  const int32_t* pixels;  // from base to each output pixel's first run, in bytes
  const int32_t* runs;    // from an output pixel's first run to each, in bytes
  int64_t run_count;
  int64_t steps;             // of a run
  const std::byte* weights;  // of all runs, kPanelStepBytes a step
  int64_t flush_steps;       // after so many, at least one, a 16-bit lane of two products may be full
  const int32_t* acc_init;   // blocks · lanes
  int32_t* acc;              // out: pixels x (blocks · lanes)
};

// Panel `panel` of packed weights, counted over all groups, as the tiles read it; up to 64 bytes past its end may be
// written.
struct PanelWeights {
  PackedView packed;
  int64_t panel;
  int64_t runs;
  int64_t steps;  // of a run
  std::byte* to;
};

using PanelMicroKernel = void (*)(const PanelTile& tile);

inline constexpr int kMaxPanelBlocks = 2;
inline constexpr int kMaxPanelPixels = 12;
inline constexpr int64_t kPanelLanes = 8;
inline constexpr int64_t kPanelStepBytes = kMaxPanelBlocks * kPanelLanes * 4;  // of opened weights

struct PanelTier {
  bool wide;  // codes and weights of 16 bits
  struct Tile {
    int64_t pixels;
    PanelMicroKernel run[kMaxPanelPixels];  // [pixels − 1]; null where the next larger one serves
  } tiles[kMaxPanelBlocks];                 // [blocks − 1]
  // Writes `count` codes as 16-bit numbers; may read 64 bytes past the last, and write 64 past the end.
  void (*widen_codes)(const uint8_t* codes, int64_t count, std::byte* wide);
  void (*open)(const PanelWeights& weights);
  TransformFunction transform;
};

// Two neighbouring products, each at most max_code · max_weight, added `result` times fit 16 bits; at least 1.
int64_t FlushSteps(int max_code, int max_weight);

// macs_per_cycle: of the register tile with all lanes busy.
double PanelCycles(const PanelTier& tier, const ConvShape& shape, double macs_per_cycle);
size_t PanelPackedBytes(const PanelTier& tier, const ConvShape& shape, const int8_t* weights);
void PanelPack(const PanelTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed);
size_t PanelScratchBytes(const PanelTier& tier, const ConvShape& shape);
void PanelRun(const PanelTier& tier, const ConvShape& shape, const ConvCall& call);

}  // namespace bitstage::kernels
