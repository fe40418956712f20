// Oracle: what a quantized graph computes, straight from docs/integer-arithmetic.md in the slowest and plainest way.
// It shares with the engine only the grids, the folded weights and the float meaning of operators (engine/reference).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/graph/graph.h"

namespace bitstage {

// One image of a value, in ONNX order.
struct OracleValue {
  std::vector<uint8_t> codes;    // of a value with a grid
  std::vector<float> reals;      // of every float value; with a grid, what the codes stand for
  std::vector<int64_t> indices;  // of an int64 value
};

// The output of `node` from the values of its inputs, by the graph's grids.
OracleValue Evaluate(const Graph& graph, const Node& node, std::span<const OracleValue* const> inputs);

// A graph input: `reals` rounded to the value's grid.
OracleValue EvaluateInput(const Value& value, std::span<const float> reals);

// All values of the graph for one image; `inputs` in the order of graph.inputs.
std::vector<OracleValue> EvaluateGraph(const Graph& graph, std::span<const std::vector<float>> inputs);

}  // namespace bitstage
