// Steps at the border between codes and floats, and the float operators between such borders.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/kernels/kernel_table.h"
#include "engine/runtime/code_layout.h"
#include "engine/runtime/step.h"

namespace bitstage {

// float32 in ONNX layout to codes: Grid::Code of every element.
std::unique_ptr<Step> MakeQuantizeStep(const kernels::KernelTable& table, const Place& input,
                                       const CodeOperand& output);

// Codes to float32 in ONNX layout: Grid::Real of every code.
std::unique_ptr<Step> MakeDequantizeStep(const CodeOperand& input, const Place& output);

// float32 H x W x C to C x H x W.
std::unique_ptr<Step> MakePlanarStep(const CodeLayout& layout, const Place& input, const Place& output);

// The mean of every channel of float32 H x W x C, as the operator's float meaning takes it: a sum of doubles, row by
// row.
std::unique_ptr<Step> MakeMeanStep(const kernels::KernelTable& table, const CodeLayout& layout, const Place& input,
                                   const Place& output);

// A dense array as it is.
std::unique_ptr<Step> MakeBytesStep(size_t bytes, const Place& input, const Place& output);

// One node by its float meaning (engine/reference), inputs and output in ONNX layout; `weights` as RealWeights gives
// them, where it has some. Requires a validated graph that outlives the step. Nodes with weights allocate while they
// run; all others do not.
std::unique_ptr<Step> MakeFloatStep(const Graph& graph, const Node& node, std::vector<float> weights,
                                    const kernels::KernelTable& table, std::span<const Place> inputs,
                                    const Place& output);

}  // namespace bitstage
