// The slow reference: docs/integer-arithmetic.md in plain loops. It is the oracle of every other tier, the tier of last
// resort, and what vector tiers fall back on for shapes that are not worth a kernel of their own.
#pragma once

#include <cstdint>

#include "engine/kernels/params.h"

namespace bitstage::kernels::reference {

// Convolution of any shape. Weights are "packed" as they come.
extern const ConvKernel kConv;

void Add(const AddCall& call);
// The largest code under the window; 0 for a window that lies outside the image altogether.
void MaxPool(const PoolCall& call);
// Counts the positions inside the image, or inside the padded image where count_include_pad; at least 1.
void AveragePool(const PoolCall& call);
void Mean(const MeanCall& call);

void Quantize(const QuantizeCall& call);

// The first step of the output transform (docs/integer-arithmetic.md §3) for one channel.
float Scaled(const OutputTransform& transform, int64_t channel, int32_t acc);

// Its steps 3 and 4: into [low, high], which must lie within 0…255 / 2^shift, then to a code.
float Clamp(const OutputTransform& transform, int64_t channel, float t);
uint8_t Code(const OutputTransform& transform, int64_t channel, float t);

// The whole transform of the accumulators of one pixel, `channels` of them from `channel_begin` on. `residual` (or
// null) and `output` (of uint8_t or float) point at channel 0 of the pixel, `acc` at the first accumulator.
void TransformPixel(const OutputTransform& transform, int64_t channel_begin, int64_t channels, const int32_t* acc,
                    const uint8_t* residual, void* output);

}  // namespace bitstage::kernels::reference
