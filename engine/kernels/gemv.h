// Gemv: what the tiers share of layers with few pixels (fully connected ones above all), where the time goes into
// reading weights: they stay packed at 2, 4 or 8 bits and are opened in registers. A tier adds the register tile and
// the preparation of the codes (GemvTier).
//
// A weight is kept as an unsigned field f = w + offset of `bits` bits, offset 1, 8 or 128, and a code u as a = u −
// bias, so that
//     Σ w·u = Σ f·a − offset · Σ a + bias · Σ w
// where the last term is packed with the weights and the one before is computed once a pixel. A byte holds 8 / bits
// fields: field j of byte i of lane l of step s is the weight of input channel (s · 8/bits + j) · 4 + i. Packed are
//     [bits int32, padding to 64 bytes][bias · Σ w by output, int32][group][step][block][lanes][4]
// in groups of up to `max_blocks` registers of `lanes` outputs; missing channels are fields of 0 that meet a = 0.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/output_tile.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

struct GemvTile {
  const std::byte* weights;  // of the group
  const uint8_t* codes;      // prepared: steps · 32 / bits bytes
  int64_t steps;
  int32_t* acc;  // blocks · lanes: what the sums begin with, and the sums
};

using GemvMicroKernel = void (*)(const GemvTile& tile);

inline constexpr int kMaxGemvBlocks = 8;

struct GemvTier {
  int64_t lanes;
  int32_t bias;
  struct Width {
    int bits;                             // 0: no such width in this tier
    int64_t max_blocks;                   // <= kMaxGemvBlocks
    double macs_per_cycle;                // of the micro-kernel, weights in the L1 cache
    GemvMicroKernel run[kMaxGemvBlocks];  // [blocks − 1]
  } widths[3];                            // of rising bits
  // codes[i] − bias for i < count to `prepared`, zeros up to the next multiple of 64; returns their sum.
  int32_t (*prepare)(const uint8_t* codes, int64_t count, uint8_t* prepared);
  TransformFunction transform;
};

bool GemvSupports(const GemvTier& tier, const ConvShape& shape, int max_weight);
double GemvCycles(const GemvTier& tier, const ConvShape& shape, int max_weight);
size_t GemvPackedBytes(const GemvTier& tier, const ConvShape& shape, const int8_t* weights);
void GemvPack(const GemvTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed);
size_t GemvScratchBytes(const GemvTier& tier, const ConvShape& shape);
void GemvRun(const GemvTier& tier, const ConvShape& shape, const ConvCall& call);

}  // namespace bitstage::kernels
