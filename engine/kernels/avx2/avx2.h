// The kernels of the AVX2 tier (avx2, fma). Only for CPUs that SupportedIsas() says have it.
#pragma once

#include "engine/kernels/output_tile.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels::avx2 {

// Multiplies bytes and adds pairs in 16 bits; only where two products fit (vpmaddubsw saturates).
extern const ConvKernel kDirectBytes;
// The same, with sums that stay in 16 bits for as many steps as the codes and weights allow.
extern const ConvKernel kPairs;
// Codes and weights widened to 16 bits beforehand; any.
extern const ConvKernel kWords;
// Multiplies in 16 bits; any codes and weights.
extern const ConvKernel kDirectWords;
// Exact Winograd convolutions in bytes and in 16 bits.
extern const ConvKernel kWinograd;
extern const ConvKernel kWinogradWords;
extern const ConvKernel kDepthwise;
// Where all of a channel's products add up to 16 bits.
extern const ConvKernel kDepthwiseBytes;
extern const ConvKernel kGemv;  // weights of 2 and 4 bits

void Transform(const OutputTile& tile);
void Add(const AddCall& call);
void MaxPool(const PoolCall& call);
void AveragePool(const PoolCall& call);
void Mean(const MeanCall& call);
void Quantize(const QuantizeCall& call);

// engine/kernels/peak.h
int64_t DotProducts(int64_t rounds);

}  // namespace bitstage::kernels::avx2
