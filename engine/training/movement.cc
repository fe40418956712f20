#include "engine/training/movement.h"

#include <algorithm>
#include <array>

namespace bitstage {
namespace {

std::vector<int64_t> Pair(const std::array<int64_t, 2>& values) { return {values[0], values[1]}; }

// Pads for at::constant_pad_nd: the last axis first.
std::vector<int64_t> PadsOf(const Pad& op) {
  std::vector<int64_t> pads;
  for (size_t axis = op.before.size(); axis-- > 0;) {
    pads.push_back(op.before[axis]);
    pads.push_back(op.after[axis]);
  }
  return pads;
}

at::Tensor Sliced(const Slice& op, at::Tensor x) {
  for (size_t axis = 0; axis < op.begin.size(); ++axis) {
    const int64_t end = op.begin[axis] + (op.extent[axis] - 1) * op.step[axis] + 1;
    x = x.slice(static_cast<int64_t>(axis) + 1, op.begin[axis], end, op.step[axis]);
  }
  return x;
}

}  // namespace

bool IsMovement(const Op& op) {
  if (const auto* pool = std::get_if<Pool>(&op)) return pool->kind == PoolKind::kMax;
  if (const auto* concat = std::get_if<Concat>(&op)) return concat->axis == 0;
  if (const auto* pad = std::get_if<Pad>(&op)) return pad->value == 0;
  if (const auto* unary = std::get_if<Unary>(&op)) return unary->kind == UnaryKind::kIdentity;
  return std::holds_alternative<Slice>(op) || std::holds_alternative<Reshape>(op) ||
         std::holds_alternative<Transpose>(op);
}

at::Tensor PadUnevenly(const at::Tensor& x, const Window& window, double value, std::vector<int64_t>& symmetric) {
  symmetric = Pair(window.pad_before);
  if (window.pad_before == window.pad_after) return x;
  symmetric = {0, 0};
  return at::constant_pad_nd(x, {window.pad_before[1], window.pad_after[1], window.pad_before[0], window.pad_after[0]},
                             value);
}

at::Tensor WeightedSums(const Node& node, const at::Tensor& x, const at::Tensor& weights, const at::Tensor& bias) {
  if (std::holds_alternative<FullyConnected>(node.op)) return at::linear(x, weights, bias);
  const auto& conv = std::get<Conv>(node.op);
  std::vector<int64_t> padding;
  const at::Tensor padded = PadUnevenly(x, conv.window, 0, padding);
  return at::conv2d(padded.contiguous(at::MemoryFormat::ChannelsLast), weights, bias, Pair(conv.window.stride), padding,
                    Pair(conv.window.dilation), conv.groups);
}

at::Tensor RunMovement(const Graph& graph, const Node& node, const std::vector<at::Tensor>& inputs, double zero,
                       double lowest) {
  const at::Tensor& x = inputs[0];
  const Shape& shape = graph.value(node.output).shape;
  std::vector<int64_t> extents = {x.size(0)};
  extents.insert(extents.end(), shape.begin(), shape.end());
  if (const auto* pool = std::get_if<Pool>(&node.op)) {
    std::vector<int64_t> padding;
    const at::Tensor padded = PadUnevenly(x, pool->window, lowest, padding);
    return at::max_pool2d(padded, Pair(pool->window.kernel), Pair(pool->window.stride), padding,
                          Pair(pool->window.dilation), pool->window.ceil_mode);
  }
  if (std::holds_alternative<Concat>(node.op)) return at::cat(inputs, 1);
  if (const auto* pad = std::get_if<Pad>(&node.op)) return at::constant_pad_nd(x, PadsOf(*pad), zero);
  if (const auto* slice = std::get_if<Slice>(&node.op)) return Sliced(*slice, x);
  if (std::holds_alternative<Reshape>(node.op)) return x.contiguous().reshape(extents);
  if (const auto* transpose = std::get_if<Transpose>(&node.op)) {
    std::vector<int64_t> order = {0};
    for (const int axis : transpose->permutation) order.push_back(axis + 1);
    return x.permute(order).contiguous();
  }
  return x;
}

int64_t WindowPixels(const Graph& graph, const Node& node) {
  if (std::holds_alternative<GlobalAveragePool>(node.op)) {
    const Shape& in = graph.value(node.inputs[0]).shape;
    return in[1] * in[2];
  }
  const auto& pool = std::get<Pool>(node.op);
  constexpr std::array<int64_t, 2> kNone = {0, 0};
  constexpr std::array<int64_t, 2> kOne = {1, 1};
  if (pool.window.pad_before != kNone || pool.window.pad_after != kNone || pool.window.ceil_mode ||
      pool.window.dilation != kOne) {
    return 0;
  }
  return pool.window.kernel[0] * pool.window.kernel[1];
}

at::Tensor PoolSums(const Op& op, const at::Tensor& x) {
  if (const auto* pool = std::get_if<GlobalAveragePool>(&op)) return x.sum({2, 3}, pool->keep_dims);
  const auto& window = std::get<Pool>(op).window;
  return at::avg_pool2d(x, Pair(window.kernel), Pair(window.stride), {0, 0}, false, true, 1);
}

}  // namespace bitstage
