// Winograd: what the tiers share of exact Winograd convolutions: 3 x 3, one group, by a form (winograd_form.h). In
// bytes codes up to 63 and weights up to the form's bound are exact; in 16 bits any codes and weights, stored as they
// are.
//
// Weights are packed at their stored width (packed_weights.h); a panel, all that some blocks of output channels need,
// is opened and transformed just before its products. Where maps are small that costs as much as many products: such
// layers are divided by panels instead of rows, and a call computes all its images at once (ConvKernel::panels).
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/packed_weights.h"
#include "engine/kernels/padded_transform.h"
#include "engine/kernels/params.h"
#include "engine/kernels/winograd_form.h"

namespace bitstage::kernels {

inline constexpr int kWinogradTiles = 8;   // most tiles whose products are summed at a time
inline constexpr int kWinogradBlocks = 4;  // most blocks of lanes of a panel
inline constexpr int kWinogradRowTiles = 3;

// The transformed codes of a row of tiles: those of tile t and plane p (row-major) go to at[t] + p · plane_bytes,
// `channels` codes (a multiple of 4, of one or two bytes). Where `channels` is no multiple of 64 they may be followed
// by up to 63 bytes of anything: tiles come in rising order, and what one overwrites is the next one's. The rows have
// as many pixels as the tiles read, which may be read up to 63 bytes past `channels`.
struct WinogradInput {
  const uint8_t* const* rows[kMaxWinogradCodes];
  int64_t tiles;
  int64_t channels;
  uint8_t* const* at;
  int64_t plane_bytes;
  uint8_t offset;  // of differences
};

// Packed weights of blocks [block, block + blocks) to a panel [position][step][blocks][lanes][4 bytes], positions
// `plane_bytes` apart.
struct WinogradWeights {
  PackedView packed;
  int64_t vectors;  // of four input channels
  int64_t block;
  int64_t blocks;
  int8_t* panel;
  int64_t plane_bytes;
};

// Some positions' products of some tiles and a panel.
struct WinogradProducts {
  int position_begin, position_end;
  const uint8_t* codes;  // [plane][tile][channel]
  int64_t plane_bytes;
  int64_t tile_bytes;
  int64_t steps;  // of four bytes
  const int8_t* panel;
  int64_t panel_plane_bytes;
  const int32_t* const* start;  // what each position's sums start with, blocks · lanes
  int32_t* sums;                // out: [position, from the first of these on][tile][blocks · lanes]
  int64_t sums_plane;           // of the array, from one position to the next
  int max_code, max_weight;     // of the layer, before any transform
  // To be brought near meanwhile: as many cache lines before each position's products, one after the other.
  const std::byte* ahead;
  int64_t ahead_lines;
};

// The outputs of some tiles. Pixel 2r + c of tile t is at[4t + 2r + c], at its first channel.
struct WinogradOutput {
  const int32_t* sums;  // [position][tile][blocks · lanes]
  int64_t sums_plane;
  int64_t tiles;
  int64_t channel;   // the panel's first
  int64_t channels;  // to write
  PaddedTransform transform;
  std::byte* const* at;
  const uint8_t* const* residual_at;  // or null
};

struct WinogradTier {
  const WinogradForm* form;
  int64_t lanes;
  int64_t code_bytes;                  // of a transformed code or weight: 1 or 2
  uint8_t (*offset)(int max_code);     // of transformed codes
  int64_t max_tiles[kWinogradBlocks];  // by blocks − 1; not rising
  void (*transform_input)(const WinogradInput& input);
  void (*open)(const WinogradWeights& weights);
  void (*multiply[kWinogradBlocks][kWinogradTiles])(const WinogradProducts& products);  // by blocks − 1, tiles − 1
  void (*transform_output[kWinogradBlocks])(const WinogradOutput& output);
  // For WinogradCycles: products a cycle; a tile's transforms, of a register of input channels, of a block of outputs;
  // to open a step of a block.
  // Or null, by tiles − 1, and of as many blocks as there are: products of a row of positions, summed to what goes to
  // the left outputs and what to the right ones while still in registers, [row][left, right][tile][lanes]; and their
  // outputs. By one only. Right where a row's weights fit the L1 cache.
  void (*multiply_row[kWinogradRowTiles])(const WinogradProducts& products);
  void (*transform_rows)(const WinogradOutput& output);
  double macs_per_cycle, input_cycles, output_cycles, open_cycles;
  double plane_cycles;  // to begin and end the products of a plane of a group of tiles
};

// In bytes, and in 16 bits.
bool WinogradSupports(const WinogradForm& form, const ConvShape& shape, int max_code, int max_weight);
bool WideWinogradSupports(const WinogradForm& form, const ConvShape& shape, int max_code, int max_weight);
int64_t WinogradPanels(const WinogradTier& tier, const ConvShape& shape);  // ConvKernel::panels
double WinogradCycles(const WinogradTier& tier, const ConvShape& shape);
size_t WinogradPackedBytes(const WinogradTier& tier, const ConvShape& shape, const int8_t* weights);
void WinogradPack(const WinogradTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed);
void WinogradScale(const WinogradTier& tier, const ConvShape& shape, int factor, std::byte* packed);
size_t WinogradScratchBytes(const WinogradTier& tier, const ConvShape& shape);       // ConvKernel::scratch_bytes
size_t WinogradBatchScratchBytes(const WinogradTier& tier, const ConvShape& shape);  // … and batch_scratch_bytes
void WinogradRun(const WinogradTier& tier, const ConvShape& shape, const ConvCall& call);

}  // namespace bitstage::kernels
