// The passes that fuse padding, clamps and residuals into the operators around them, and keep maps unflattened.
#include <algorithm>
#include <utility>

#include "engine/graph/passes.h"
#include "engine/graph/sweep.h"
#include "engine/graph/window_shape.h"

namespace bitstage {
namespace {

// The clamp of an op that can hold one, else nullptr.
std::optional<Clamp>* ClampSlot(Op& op) {
  if (auto* conv = std::get_if<Conv>(&op)) return &conv->clamp;
  if (auto* conv = std::get_if<ConvTranspose>(&op)) return &conv->clamp;
  if (auto* fc = std::get_if<FullyConnected>(&op)) return &fc->clamp;
  if (auto* binary = std::get_if<Binary>(&op)) return &binary->clamp;
  return nullptr;
}

std::optional<Clamp> AsClamp(const Op& op) {
  const auto* unary = std::get_if<Unary>(&op);
  if (unary == nullptr || unary->kind != UnaryKind::kClamp) return std::nullopt;
  return Clamp{unary->alpha, unary->beta};
}

// max and reshaping commute with a monotonic function of each element.
bool CommutesWithClamp(const Op& op) {
  const auto* pool = std::get_if<Pool>(&op);
  return std::holds_alternative<Reshape>(op) || (pool != nullptr && pool->kind == PoolKind::kMax);
}

// second(first(x)) = x clamped to what second makes of first's bounds.
Clamp Compose(const Clamp& first, const Clamp& second) {
  const auto apply = [&](float x) { return std::min(std::max(x, second.low), second.high); };
  return {apply(first.low), apply(first.high)};
}

bool IsNonNegative(Node* producer) {
  if (producer == nullptr) return false;
  if (const std::optional<Clamp> clamp = AsClamp(producer->op)) return clamp->low >= 0;
  const std::optional<Clamp>* slot = ClampSlot(producer->op);
  return slot != nullptr && slot->has_value() && (*slot)->low >= 0;
}

// Whether a zero that Pad put into the map may as well be the window's own padding.
bool MayOwnPadding(Op& op, bool non_negative) {
  if (std::holds_alternative<Conv>(op)) return true;
  auto* pool = std::get_if<Pool>(&op);
  if (pool == nullptr || pool->window.ceil_mode) return false;  // ceil_mode drops windows by the map's own extent
  // A zero never exceeds the maximum of pixels that are not negative; PoolExtents refuses windows without a pixel.
  if (pool->kind == PoolKind::kMax) return non_negative;
  constexpr std::array<int64_t, 2> kNone = {0, 0};
  if (!pool->count_include_pad && (pool->window.pad_before != kNone || pool->window.pad_after != kNone)) return false;
  pool->count_include_pad = true;
  return true;
}

}  // namespace

// Zeros around a map are what a convolution's own padding means, and count as pixels in a mean.
bool FoldPads(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    Graph& g = sweep.graph();
    Node* producer = sweep.SoleProducer(node.inputs[0]);
    const Pad* pad = producer == nullptr ? nullptr : std::get_if<Pad>(&producer->op);
    if (pad == nullptr || pad->value != 0 || pad->before.size() != 3 || pad->before[0] + pad->after[0] != 0) {
      return false;
    }
    Node padded = node;
    if (!MayOwnPadding(padded.op, IsNonNegative(sweep.Producer(producer->inputs[0])))) return false;
    Window& window =
        std::holds_alternative<Conv>(padded.op) ? std::get<Conv>(padded.op).window : std::get<Pool>(padded.op).window;
    for (size_t axis = 0; axis < 2; ++axis) {
      window.pad_before[axis] += pad->before[axis + 1];
      window.pad_after[axis] += pad->after[axis + 1];
    }
    padded.inputs[0] = producer->inputs[0];
    const absl::StatusOr<Shape> shape = InferShape(g, padded);  // refuses paddings that a window may not have
    if (!shape.ok() || !(*shape == g.value(node.output).shape)) return false;
    sweep.Remove(*producer);
    sweep.Keep(std::move(padded));
    return true;
  });
}

// clamp(pool(x)) = pool(clamp(x)), where clamp(x) can then be fused into what makes x.
bool HoistClamps(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    if (!AsClamp(node.op)) return false;
    Node* producer = sweep.SoleProducer(node.inputs[0]);
    if (producer == nullptr || !CommutesWithClamp(producer->op)) return false;
    Node* before = sweep.SoleProducer(producer->inputs[0]);
    if (before == nullptr || (ClampSlot(before->op) == nullptr && !CommutesWithClamp(before->op))) return false;
    Graph& g = sweep.graph();
    std::swap(node.op, producer->op);
    std::swap(node.name, producer->name);
    g.value(producer->output).shape = g.value(producer->inputs[0]).shape;
    sweep.Keep(std::move(node));
    return true;
  });
}

// The clamp of a value that only the clamp reads belongs to what makes the value.
bool FuseClamps(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    const std::optional<Clamp> clamp = AsClamp(node.op);
    Node* producer = clamp ? sweep.SoleProducer(node.inputs[0]) : nullptr;
    if (producer == nullptr) return false;
    if (const std::optional<Clamp> first = AsClamp(producer->op)) {
      const Clamp both = Compose(*first, *clamp);
      producer->op = Unary{UnaryKind::kClamp, both.low, both.high};
    } else if (std::optional<Clamp>* slot = ClampSlot(producer->op)) {
      *slot = slot->has_value() ? Compose(**slot, *clamp) : *clamp;
    } else {
      return false;
    }
    sweep.GiveOutput(*producer, node.output);
    return true;
  });
}

// conv(x) + r is a convolution with a residual. It takes the add's place in the order, where both x and r exist.
bool FuseResiduals(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    const auto* add = std::get_if<Binary>(&node.op);
    Graph& g = sweep.graph();
    if (add == nullptr || add->kind != BinaryKind::kAdd ||
        !(g.value(node.inputs[0]).shape == g.value(node.inputs[1]).shape)) {
      return false;
    }
    Node* later = nullptr;
    ValueId residual = -1;
    for (const size_t i : {0, 1}) {
      Node* producer = sweep.SoleProducer(node.inputs[i]);
      const Conv* conv = producer == nullptr ? nullptr : std::get_if<Conv>(&producer->op);
      if (conv == nullptr || conv->clamp || producer->inputs.size() > 1 || producer < later) continue;
      later = producer;
      residual = node.inputs[1 - i];
    }
    if (later == nullptr) return false;
    Node fused = *later;
    std::get<Conv>(fused.op).clamp = add->clamp;
    fused.inputs.push_back(residual);
    fused.output = node.output;
    sweep.Remove(*later);
    sweep.Keep(std::move(fused));
    return true;
  });
}

// Flattening C x H x W and multiplying by O x (C·H·W) is one O x C x H x W window over the whole map.
bool FullyConnectedToConv(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    const auto* fc = std::get_if<FullyConnected>(&node.op);
    Graph& g = sweep.graph();
    const Node* producer = fc == nullptr ? nullptr : sweep.Producer(node.inputs[0]);
    if (producer == nullptr || !std::holds_alternative<Reshape>(producer->op)) return false;
    const Shape map = g.value(producer->inputs[0]).shape;
    const Value output = g.value(node.output);
    if (map.rank() != 3 || std::max(map[1], map[2]) > kMaxWindowExtent || output.shape.rank() != 1 ||
        !g.constant(fc->weights).values)
      return false;
    Tensor weights = g.constant(fc->weights).values->Clone();
    weights.Reshape({output.shape[0], map[0], map[1], map[2]});
    Conv conv;
    conv.window.kernel = {map[1], map[2]};
    conv.weights = g.AddConstant({g.constant(fc->weights).name, std::move(weights), std::nullopt});
    conv.bias = fc->bias;
    conv.clamp = fc->clamp;
    const ValueId pixel = g.AddValue({output.name + ".map", {output.shape[0], 1, 1}, DataType::kFloat32, std::nullopt});
    Node flatten{node.name + ".flatten", Reshape{output.shape}, {pixel}, node.output};
    sweep.Keep({std::move(node.name), conv, {producer->inputs[0]}, pixel});
    sweep.Keep(std::move(flatten));
    return true;
  });
}

}  // namespace bitstage
