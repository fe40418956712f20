// Steps that move codes unchanged: slices, padding, reshapes, transposes, nearest resize, concatenation.
#pragma once

#include <array>
#include <memory>
#include <span>

#include "engine/graph/graph.h"
#include "engine/runtime/code_layout.h"
#include "engine/runtime/step.h"

namespace bitstage {

// Is every code of `from`'s channel `from_channel` a code of `to`'s channel `to_channel` that stands for the same real
// number?
bool MovesUnchanged(const Grid& from, int64_t from_channel, const Grid& to, int64_t to_channel);

// Null where the step cannot be made: the op does more than move elements, padding is not with zero, grids differ, or
// the list of runs would be too long to be worth it. What the caller does then (the float op between two conversions)
// gives the same bits. Requires a validated graph; inputs in the order of node.inputs.
std::unique_ptr<Step> MakeMoveStep(const Graph& graph, const Node& node, std::span<const CodeOperand> inputs,
                                   const CodeOperand& output);

// The input of a transposed convolution made ready for a plain one: output pixel (y, x) is input pixel
// ((y − before[0]) / stride[0], (x − before[1]) / stride[1]) where that is whole and inside, else the zero point.
// `before` may be negative.
std::unique_ptr<Step> MakeSpreadStep(const CodeOperand& input, const CodeOperand& output,
                                     const std::array<int64_t, 2>& stride, const std::array<int64_t, 2>& before);

// Copies codes of one layout from one place to another: into a slice of a concatenation.
std::unique_ptr<Step> MakeCopyStep(const CodeOperand& input, const Place& output);

}  // namespace bitstage
