// DepthwiseConv: what the tiers share of a depthwise convolution. A register holds neighbouring channels of one pixel;
// a tier multiplies `tap_group` kernel positions at a time (missing ones have weight 0).
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/output_tile.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

// Some output pixels, all channels.
struct DepthwiseTile {
  int64_t pixels;
  const uint8_t* const* taps;  // pointers to input pixels, tap_groups · tap_group for each output pixel
  int64_t tap_groups;
  int64_t blocks;  // of DepthwiseTier::block channels
  const std::byte* weights;
  const int32_t* acc_init;  // blocks · block
  int32_t* acc;             // out: pixels x (blocks · block)
};

struct DepthwiseTier {
  int64_t block;  // channels
  int64_t tap_group;
  int64_t weight_bytes;  // a packed weight: 1 or 2
  // Where the weight of (channel of the block, kernel position of the group) lies within [block][tap group].
  int64_t (*position)(int64_t channel, int64_t tap);
  void (*run)(const DepthwiseTile& tile);
  TransformFunction transform;
};

size_t DepthwisePackedBytes(const DepthwiseTier& tier, const ConvShape& shape);
void DepthwisePack(const DepthwiseTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed);
size_t DepthwiseScratchBytes(const DepthwiseTier& tier, const ConvShape& shape);
void DepthwiseRun(const DepthwiseTier& tier, const ConvShape& shape, const ConvCall& call);

}  // namespace bitstage::kernels
