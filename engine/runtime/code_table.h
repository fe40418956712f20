// Tables of codes for functions of one element: table[u] = Grid_out.Code(f(Grid_in.Real(u))).
#pragma once

#include <cstdint>
#include <vector>

#include "engine/graph/graph.h"

namespace bitstage {

// 256 codes for all channels, or 256 for each channel in turn, of a node with one input and one output that carry
// grids. Empty where no table can stand for the op (a constant that differs within a channel), or none of sensible
// size. f is the node's float meaning (engine/reference).
std::vector<uint8_t> TablesOf(const Graph& graph, const Node& node);

// The tables that take `part` to the grid of the channels of `whole` from `channel` on; both have a channel axis.
std::vector<uint8_t> RequantizingTables(const Value& part, const Value& whole, int64_t channel);

}  // namespace bitstage
