// The outputs of a network's blocks: the values that the DQA paper quantizes (arXiv 2412.09687 §4).
#pragma once

#include <vector>

#include "engine/graph/graph.h"

namespace bitstage {

// Of an optimized graph (engine/graph/passes.h), in order: in networks with depthwise convolutions the outputs of the
// pointwise ones behind them; else the sums of residual blocks; else concatenations of channels; else the outputs of
// all weighted layers but the last.
std::vector<ValueId> BlockOutputs(const Graph& graph);

}  // namespace bitstage
