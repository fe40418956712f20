// The operators that multiply by weights, in float: Conv, ConvTranspose, FullyConnected as matrix products.
//
// Every output element is one chain of fma that starts at the bias and goes over input channels, kernel rows and kernel
// columns in this order (zeros of the padding included), so that its bits do not depend on batch, threads or tier.
// Thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/thread_pool.h"
#include "engine/graph/graph.h"

namespace bitstage {

// KernelTable::sgemm.
using Sgemm = void (*)(int64_t m, int64_t n, int64_t k, const float* a, int64_t lda, const float* b, int64_t ldb,
                       float* c, int64_t ldc);

// The real weights of a node that has some: w of y = Σ w·x. Where the input's grid has a step per channel, codes hold
// w·step (docs/integer-arithmetic.md §1), and it is divided out here.
std::vector<float> RealWeights(const Graph& graph, const Node& node);
// The same of codes that the graph need not have in memory.
std::vector<float> RealWeights(const Graph& graph, const Node& node, const WeightCodes& codes);

// Computes node.output of `batch` images; `residual` is the second input of a Conv, or null. Real weights. Dense arrays
// in ONNX layout, batch outermost; pool may be null. Requires a validated graph.
void RunFloatConv(const Graph& graph, const Node& node, std::span<const float> weights, int64_t batch,
                  const float* input, const float* residual, float* output, ThreadPool* pool, Sgemm sgemm);

}  // namespace bitstage
