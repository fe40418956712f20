// Operators that train without weights and mean the same for numbers and for codes: windows and movement, on batched
// tensors.
#pragma once

#include <ATen/ATen.h>

#include "absl/status/status.h"
#include "engine/graph/graph.h"

namespace bitstage {

// Operators of RunMovement.
bool IsMovement(const Op& op);

// Max pooling, slices, padding with 0, reshapes, transposes, identity and concatenation of the channels. `zero` is what
// stands for 0 (the zero point of codes), `lowest` no more than any element.
at::Tensor RunMovement(const Graph& graph, const Node& node, const std::vector<at::Tensor>& inputs, double zero,
                       double lowest);

// x with the window's padding where it is not the same on both sides; `symmetric` gets what is left to the operator.
at::Tensor PadUnevenly(const at::Tensor& x, const Window& window, double value, std::vector<int64_t>& symmetric);

// The sums of a weighted node (Conv, FullyConnected) over its input; bias may be undefined.
at::Tensor WeightedSums(const Node& node, const at::Tensor& x, const at::Tensor& weights, const at::Tensor& bias);

// The sum over each window of an average pooling; every window must have `WindowPixels` inside.
at::Tensor PoolSums(const Op& op, const at::Tensor& x);
// Pixels of a window; 0 where windows differ (padding that does not count).
int64_t WindowPixels(const Graph& graph, const Node& node);

}  // namespace bitstage
