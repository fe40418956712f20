// The slow, plain float meaning of every operator that does not multiply by a weight matrix (float_conv.h has those).
//
// One image at a time, dense arrays in ONNX layout (C x H x W), of the types and shapes that the graph's values
// declare. Scalar loops that do not depend on the instruction-set tier; sums and transcendental functions are computed
// in double and rounded to float once. No allocation: the integer engine calls these between its own steps.
#pragma once

#include <span>

#include "engine/graph/graph.h"
#include "engine/tensor/grid.h"

namespace bitstage {

// False for Conv, ConvTranspose and FullyConnected.
bool IsFloatOp(const Op& op);

// Computes node.output from `inputs`, one pointer for each of node.inputs. Arrays may not overlap.
// Requires a validated graph and IsFloatOp(node.op).
void RunFloatOp(const Graph& graph, const Node& node, std::span<const void* const> inputs, void* output);

// The same in pieces that may run side by side: how many rows an operator's work has (1: it comes in one piece), and
// the rows [row_begin, row_end) of it.
int64_t FloatOpRows(const Graph& graph, const Node& node);
void RunFloatOpRows(const Graph& graph, const Node& node, std::span<const void* const> inputs, void* output,
                    int64_t row_begin, int64_t row_end);

// f(x) of a unary operator: what tables of codes are made from.
float ApplyUnary(const Unary& unary, float x);

// Rounds one image of a value to its grid, as the integer engine holds it.
void SnapToGrid(const Grid& grid, const Shape& shape, std::span<float> values);

}  // namespace bitstage
