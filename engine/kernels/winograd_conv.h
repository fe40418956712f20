// Winograd: what the tiers share of exact Winograd convolutions F(2 x 2, 3 x 3) (Lavin and Gray, arXiv 1509.09308,
// §4.1): 3 x 3, stride 1, one group, 16 products for 36. A tile is 2 x 2 output pixels from 4 x 4 input pixels d:
//
//     Y = Aᵀ [ (2G g (2G)ᵀ) ⊙ (Bᵀ d B) ] A / 4
//     Bᵀ = 1  0 −1  0     2G = 2  0  0     Aᵀ = 1  1  1  0
//          0  1  1  0          1  1  1          0  1 −1 −1
//          0 −1  1  0          1 −1  1
//          0  1  0 −1          0  0  2
//
// In integers, and so without any rounding. In bytes: codes up to 63 make Bᵀ d B lie in 0 … 252 at position (1, 1) and
// in −126 … 126 elsewhere, there stored with an offset added; weights up to 14 make the transformed ones at most 9 · 14
// = 126. What the offset adds to the outputs is known when weights are packed, and taken off where the sums start. In
// 16 bits any codes and weights fit as they are. Four times a layer's accumulators fit 32 bits (WinogradSupports), and
// the division by 4 leaves no rest.
//
// Weights are packed at their stored width (packed_weights.h); a panel, all that some blocks of output channels need,
// is opened and transformed just before its products.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/packed_weights.h"
#include "engine/kernels/padded_transform.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

inline constexpr int kWinogradPositions = 16;
inline constexpr int kWinogradTiles = 8;   // most tiles whose products are summed at a time
inline constexpr int kWinogradBlocks = 4;  // most blocks of lanes of a panel

// Bᵀ d B of a row of tiles: tile t's position p goes to at[t] + p · plane_bytes, `channels` codes (a multiple of 4, of
// one or two bytes) that may be followed by up to 63 bytes of anything: tiles come in rising order, and what one
// overwrites is the next one's. The four rows have 2 · tiles + 2 pixels, which may be read up to 63 bytes past
// `channels`.
struct WinogradInput {
  const uint8_t* const* rows[4];
  int64_t tiles;
  int64_t channels;
  uint8_t* const* at;
  int64_t plane_bytes;
  uint8_t offset;  // of all positions but (1, 1)
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

// All positions' products of some tiles and a panel.
struct WinogradProducts {
  const uint8_t* codes;  // [position][tile][channel]
  int64_t plane_bytes;
  int64_t tile_bytes;
  int64_t steps;  // of four bytes
  const int8_t* panel;
  int64_t panel_plane_bytes;
  const int32_t* const* start;  // what each position's sums start with, blocks · lanes
  int32_t* sums;                // out: [position][tile][blocks · lanes]
  int max_code, max_weight;     // of the layer, before any transform
  // To be brought near meanwhile: as many cache lines before each position's products, one after the other.
  const std::byte* ahead;
  int64_t ahead_lines;
};

// Aᵀ sums A / 4 of some tiles, to the output. Pixel 2r + c of tile t is at[4t + 2r + c], at its first channel.
struct WinogradOutput {
  const int32_t* sums;
  int64_t tiles;
  int64_t channel;   // the panel's first
  int64_t channels;  // to write
  PaddedTransform transform;
  std::byte* const* at;
  const uint8_t* const* residual_at;  // or null
};

struct WinogradTier {
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
  double macs_per_cycle, input_cycles, output_cycles, open_cycles;
};

// In bytes, and in 16 bits.
bool WinogradSupports(const ConvShape& shape, int max_code, int max_weight);
bool WideWinogradSupports(const ConvShape& shape, int max_code, int max_weight);
double WinogradCycles(const WinogradTier& tier, const ConvShape& shape);
size_t WinogradPackedBytes(const WinogradTier& tier, const ConvShape& shape, const int8_t* weights);
void WinogradPack(const WinogradTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed);
size_t WinogradScratchBytes(const WinogradTier& tier, const ConvShape& shape);
void WinogradRun(const WinogradTier& tier, const ConvShape& shape, const ConvCall& call);

}  // namespace bitstage::kernels
