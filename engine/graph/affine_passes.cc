// The passes that turn per-channel arithmetic into ChannelAffine and fold it into weights. All products and sums are
// made in double and rounded to float once.
#include <algorithm>
#include <utility>

#include "engine/graph/passes.h"
#include "engine/graph/sweep.h"

namespace bitstage {
namespace {

std::span<const float> Floats(const Graph& graph, ConstantId id) { return graph.constant(id).values->Span<float>(); }

ConstantId AddFloats(Graph& graph, std::string name, const Shape& shape, std::span<const float> values) {
  return graph.AddConstant({std::move(name), Tensor::Of<float>(shape, values), std::nullopt});
}

// A constant that has one value for each channel (axis 0) of `shape`: that value by channel. Else empty.
std::vector<float> PerChannel(const Graph& graph, ConstantId id, const Shape& shape) {
  if (shape.rank() == 0) return {};
  const auto channels = static_cast<size_t>(shape[0]);
  const std::span<const float> values = Floats(graph, id);
  if (values.size() == 1) return std::vector<float>(channels, values[0]);
  const Shape& constant = graph.constant(id).shape();
  if (constant.rank() != shape.rank() || constant[0] != shape[0] || values.size() != channels) return {};
  return {values.begin(), values.end()};
}

struct WeightIds {
  ConstantId* weights;
  ConstantId* bias;
};

// The constants of an op that multiplies by float weights, else nullopt.
std::optional<WeightIds> FloatWeights(const Graph& graph, Op& op) {
  const ConstantId id = WeightsOf(op);
  if (id == kNoConstant || !graph.constant(id).values) return std::nullopt;
  if (auto* conv = std::get_if<Conv>(&op)) return WeightIds{&conv->weights, &conv->bias};
  if (auto* conv = std::get_if<ConvTranspose>(&op)) return WeightIds{&conv->weights, &conv->bias};
  auto& fc = std::get<FullyConnected>(op);
  return WeightIds{&fc.weights, &fc.bias};
}

bool HasClamp(const Op& op) {
  if (const auto* conv = std::get_if<Conv>(&op)) return conv->clamp.has_value();
  if (const auto* conv = std::get_if<ConvTranspose>(&op)) return conv->clamp.has_value();
  return std::get<FullyConnected>(op).clamp.has_value();
}

// A fully connected layer multiplies along the last axis, an affine counts channels along the first.
bool AxesAgree(const Op& op, const Shape& shape) {
  return !std::holds_alternative<FullyConnected>(op) || shape.rank() == 1;
}

void SetBias(Graph& graph, const Node& node, const WeightIds& ids, std::span<const float> bias) {
  std::string name = *ids.bias == kNoConstant ? node.name + ".bias" : graph.constant(*ids.bias).name;
  *ids.bias = AddFloats(graph, std::move(name), {static_cast<int64_t>(bias.size())}, bias);
}

std::vector<float> BiasOrZero(const Graph& graph, const WeightIds& ids) {
  if (*ids.bias == kNoConstant) return std::vector<float>(static_cast<size_t>(graph.constant(*ids.weights).shape()[0]));
  const std::span<const float> bias = Floats(graph, *ids.bias);
  return {bias.begin(), bias.end()};
}

}  // namespace

// x + c = 1·x + c · x − c = 1·x − c · c − x = −1·x + c · x·c = c·x + 0
bool ConstantsToAffine(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    const auto* op = std::get_if<BinaryConstant>(&node.op);
    if (op == nullptr) return false;
    Graph& g = sweep.graph();
    std::vector<float> values = PerChannel(g, op->constant, g.value(node.output).shape);
    if (values.empty()) return false;
    const Shape shape{static_cast<int64_t>(values.size())};
    std::vector<float> other(values.size(), op->kind == BinaryKind::kMul ? 0.0f : 1.0f);
    if (op->kind == BinaryKind::kSub) {
      std::vector<float>& negated = op->constant_first ? other : values;
      for (float& value : negated) value = -value;
    }
    const std::string name = g.constant(op->constant).name;
    const std::vector<float>& scale = op->kind == BinaryKind::kMul ? values : other;
    const std::vector<float>& shift = op->kind == BinaryKind::kMul ? other : values;
    node.op = ChannelAffine{AddFloats(g, name + ".scale", shape, scale), AddFloats(g, name + ".shift", shape, shift)};
    sweep.Keep(std::move(node));
    return true;
  });
}

// (x·s + t)·u + v = x·(s·u) + (t·u + v)
bool MergeAffines(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    const auto* second = std::get_if<ChannelAffine>(&node.op);
    if (second == nullptr) return false;
    Node* producer = sweep.SoleProducer(node.inputs[0]);
    auto* first = producer == nullptr ? nullptr : std::get_if<ChannelAffine>(&producer->op);
    if (first == nullptr) return false;
    Graph& g = sweep.graph();
    const std::span<const float> s = Floats(g, first->scale), t = Floats(g, first->shift);
    const std::span<const float> u = Floats(g, second->scale), v = Floats(g, second->shift);
    std::vector<float> scale(s.size()), shift(s.size());
    for (size_t c = 0; c < s.size(); ++c) {
      scale[c] = static_cast<float>(double{s[c]} * u[c]);
      shift[c] = static_cast<float>(double{t[c]} * u[c] + v[c]);
    }
    const Shape shape{static_cast<int64_t>(scale.size())};
    first->scale = AddFloats(g, g.constant(first->scale).name, shape, scale);
    first->shift = AddFloats(g, g.constant(first->shift).name, shape, shift);
    sweep.GiveOutput(*producer, node.output);
    return true;
  });
}

// (Σ w·x + b)·s + t = Σ (w·s)·x + (b·s + t), s and t by output channel. Not with a residual or a clamp in between.
bool FoldAffineIntoProducer(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    const auto* affine = std::get_if<ChannelAffine>(&node.op);
    if (affine == nullptr) return false;
    Node* producer = sweep.SoleProducer(node.inputs[0]);
    if (producer == nullptr) return false;
    Graph& g = sweep.graph();
    const std::optional<WeightIds> ids = FloatWeights(g, producer->op);
    if (!ids || HasClamp(producer->op) || producer->inputs.size() > 1 ||
        !AxesAgree(producer->op, g.value(node.output).shape)) {
      return false;
    }
    const Shape shape = g.constant(*ids->weights).shape();
    const std::span<const float> scale = Floats(g, affine->scale), shift = Floats(g, affine->shift);
    Tensor weights = g.constant(*ids->weights).values->Clone();
    const auto per_output = static_cast<size_t>(shape.InnerElements(0));
    for (size_t i = 0; i < weights.Span<float>().size(); ++i) weights.Span<float>()[i] *= scale[i / per_output];
    std::vector<float> bias = BiasOrZero(g, *ids);
    for (size_t o = 0; o < bias.size(); ++o) bias[o] = static_cast<float>(double{bias[o]} * scale[o] + shift[o]);
    SetBias(g, *producer, *ids, bias);
    *ids->weights = g.AddConstant({g.constant(*ids->weights).name, std::move(weights), std::nullopt});
    sweep.GiveOutput(*producer, node.output);
    return true;
  });
}

// Σ w·(x·s + t) + b = Σ (w·s)·x + (Σ w·t + b), s and t by input channel. Padding adds zeros after the shift, and a
// transposed convolution gives its border fewer terms: both need t = 0.
bool FoldAffineIntoConsumer(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    Graph& g = sweep.graph();
    const std::optional<WeightIds> ids = FloatWeights(g, node.op);
    Node* producer = ids ? sweep.SoleProducer(node.inputs[0]) : nullptr;
    const auto* affine = producer == nullptr ? nullptr : std::get_if<ChannelAffine>(&producer->op);
    if (affine == nullptr || !AxesAgree(node.op, g.value(node.inputs[0]).shape)) return false;
    const std::span<const float> scale = Floats(g, affine->scale), shift = Floats(g, affine->shift);
    if (std::any_of(shift.begin(), shift.end(), [](float t) { return t != 0; })) {
      constexpr std::array<int64_t, 2> kNone = {0, 0};
      const auto* conv = std::get_if<Conv>(&node.op);
      const bool unpadded = conv != nullptr && conv->window.pad_before == kNone && conv->window.pad_after == kNone;
      if (!unpadded && !std::holds_alternative<FullyConnected>(node.op)) return false;
    }
    const Shape shape = g.constant(*ids->weights).shape();
    const auto inputs = static_cast<size_t>(shape[1]);
    const auto taps = static_cast<size_t>(shape.InnerElements(1));
    const size_t group_outputs = static_cast<size_t>(shape[0]) / (scale.size() / inputs);
    Tensor weights = g.constant(*ids->weights).values->Clone();
    std::vector<float> bias = BiasOrZero(g, *ids);
    for (size_t o = 0; o < bias.size(); ++o) {
      double sum = bias[o];
      for (size_t i = 0; i < inputs; ++i) {
        const size_t channel = o / group_outputs * inputs + i;
        for (float& w : weights.Span<float>().subspan((o * inputs + i) * taps, taps)) {
          sum += double{w} * shift[channel];
          w *= scale[channel];
        }
      }
      bias[o] = static_cast<float>(sum);
    }
    SetBias(g, node, *ids, bias);
    *ids->weights = g.AddConstant({g.constant(*ids->weights).name, std::move(weights), std::nullopt});
    node.inputs[0] = producer->inputs[0];
    sweep.Remove(*producer);
    sweep.Keep(std::move(node));
    return true;
  });
}

}  // namespace bitstage
