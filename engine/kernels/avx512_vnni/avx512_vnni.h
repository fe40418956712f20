// The kernels of the AVX-512 VNNI tier (avx512f, bw, dq, vl, vnni). Only for CPUs that SupportedIsas() says have it.
#pragma once

#include "engine/kernels/output_tile.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels::avx512_vnni {

extern const ConvKernel kDirect;
extern const ConvKernel kDepthwise;
extern const ConvKernel kPatch;
extern const ConvKernel kGemv;
extern const ConvKernel kWinograd;
extern const ConvKernel kWinogradStrided;
extern const ConvKernel kWinogradNarrow;

void Transform(const OutputTile& tile);
void Add(const AddCall& call);
void MaxPool(const PoolCall& call);
void AveragePool(const PoolCall& call);
void Mean(const MeanCall& call);
void Quantize(const QuantizeCall& call);

// engine/kernels/peak.h
int64_t DotProducts(int64_t rounds);

}  // namespace bitstage::kernels::avx512_vnni
