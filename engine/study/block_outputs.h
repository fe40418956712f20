// The outputs of a network's blocks: the values that the DQA paper quantizes (arXiv 2412.09687 §4); and what follows
// one.
#pragma once

#include <optional>
#include <vector>

#include "engine/graph/graph.h"

namespace bitstage {

// Of an optimized graph (engine/graph/passes.h), in order: in networks with depthwise convolutions the outputs of the
// pointwise ones behind them; else the sums of residual blocks; else concatenations of channels; else the outputs of
// all weighted layers but the last.
std::vector<ValueId> BlockOutputs(const Graph& graph);

// The end of `graph` that computes its outputs from `value` alone, with the same ids; none where it needs more.
std::optional<Graph> EndFrom(const Graph& graph, ValueId value);

}  // namespace bitstage
