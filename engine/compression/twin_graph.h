// TwinGraph: a graph with grids and its float self in one, node beside node, so that one run of an executor shows every
// value in both forms, the float one first, and holds no more of them than two runs side by side would.
#pragma once

#include "engine/graph/graph.h"

namespace bitstage {

struct TwinGraph {
  Graph graph;             // inputs: those of the float twin, then the original's
  ValueId first_twin = 0;  // the float twin of value v is first_twin + v; values below it are the original's own

  [[nodiscard]] bool IsTwin(ValueId id) const { return id >= first_twin; }
};

// Values, constants, and outputs of `graph` keep their ids; its nodes their order. The twin has constants of its own.
TwinGraph MakeTwinGraph(const Graph& graph);

}  // namespace bitstage
