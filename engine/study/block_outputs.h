// The outputs of a network's blocks: the values that the DQA paper quantizes (arXiv 2412.09687 §4); and what follows
// one.
#pragma once

#include <optional>
#include <vector>

#include "engine/graph/graph.h"

namespace bitstage {

// Of an optimized graph (engine/graph/passes.h), in order. What counts as a block depends on the kind of network:
//   separable, residual and fire modules, and combinations of them: sums of two maps; the pointwise convolution behind
//     a depthwise one, or the sum that alone reads it (MobileNet); concatenations of channels (SqueezeNet, the pyramid
//     of DeepLab)
//   U-Nets, which have no depthwise convolutions and concatenate maps made larger (ConvTranspose, Resize) with earlier
//     ones: the stages' last maps, which are what a concatenation, a pooling, an enlargement or the last layer reads.
//     Those that are concatenated count each for itself, not once more together
//   others: the outputs of all weighted layers but the last
std::vector<ValueId> BlockOutputs(const Graph& graph);

// The end of `graph` that computes its outputs from `value` alone, with the same ids; none where it needs more.
std::optional<Graph> EndFrom(const Graph& graph, ValueId value);

}  // namespace bitstage
