#include "engine/graph/graph.h"

#include <type_traits>
#include <utility>

namespace bitstage {
namespace {

struct NameOfOp {
  std::string operator()(const Conv&) const { return "Conv"; }
  std::string operator()(const ConvTranspose&) const { return "ConvTranspose"; }
  std::string operator()(const FullyConnected&) const { return "FullyConnected"; }
  std::string operator()(const ChannelAffine&) const { return "ChannelAffine"; }
  std::string operator()(const Unary& unary) const {
    switch (unary.kind) {
      case UnaryKind::kIdentity: return "Identity";
      case UnaryKind::kClamp: return "Clamp";
      case UnaryKind::kLeakyRelu: return "LeakyRelu";
      case UnaryKind::kSigmoid: return "Sigmoid";
      case UnaryKind::kHardSigmoid: return "HardSigmoid";
      case UnaryKind::kHardSwish: return "HardSwish";
      case UnaryKind::kTanh: return "Tanh";
    }
    return "Unary";
  }
  std::string operator()(const Binary& binary) const { return NameOf(binary.kind); }
  std::string operator()(const BinaryConstant& binary) const { return NameOf(binary.kind) + "Constant"; }
  std::string operator()(const Concat&) const { return "Concat"; }
  std::string operator()(const Pool& pool) const { return pool.kind == PoolKind::kMax ? "MaxPool" : "AveragePool"; }
  std::string operator()(const GlobalAveragePool&) const { return "GlobalAveragePool"; }
  std::string operator()(const Reshape&) const { return "Reshape"; }
  std::string operator()(const Transpose&) const { return "Transpose"; }
  std::string operator()(const Pad&) const { return "Pad"; }
  std::string operator()(const Slice&) const { return "Slice"; }
  std::string operator()(const Resize&) const { return "Resize"; }
  std::string operator()(const Softmax&) const { return "Softmax"; }
  std::string operator()(const ArgMax&) const { return "ArgMax"; }
  std::string operator()(const FakeQuantize&) const { return "FakeQuantize"; }

  static std::string NameOf(BinaryKind kind) {
    switch (kind) {
      case BinaryKind::kAdd: return "Add";
      case BinaryKind::kSub: return "Sub";
      case BinaryKind::kMul: return "Mul";
    }
    return "Binary";
  }
};

template <typename T>
inline constexpr bool kHasWeights =
    std::is_same_v<T, Conv> || std::is_same_v<T, ConvTranspose> || std::is_same_v<T, FullyConnected>;

}  // namespace

Graph Graph::Clone() const {
  Graph copy;
  copy.values = values;
  copy.constants.reserve(constants.size());
  for (const Constant& constant : constants) copy.constants.push_back(constant.Clone());
  copy.nodes = nodes;
  copy.inputs = inputs;
  copy.outputs = outputs;
  return copy;
}

ValueId Graph::AddValue(Value value) {
  values.push_back(std::move(value));
  return static_cast<ValueId>(values.size() - 1);
}

ConstantId Graph::AddConstant(Constant constant) {
  constants.push_back(std::move(constant));
  return static_cast<ConstantId>(constants.size() - 1);
}

std::string OpName(const Op& op) { return std::visit(NameOfOp{}, op); }

ConstantId WeightsOf(const Op& op) {
  return std::visit(
      [](const auto& attributes) -> ConstantId {
        if constexpr (kHasWeights<std::decay_t<decltype(attributes)>>) return attributes.weights;
        return kNoConstant;
      },
      op);
}

ConstantId BiasOf(const Op& op) {
  return std::visit(
      [](const auto& attributes) -> ConstantId {
        if constexpr (kHasWeights<std::decay_t<decltype(attributes)>>) return attributes.bias;
        return kNoConstant;
      },
      op);
}

bool IsDepthwise(const Graph& graph, const Op& op) {
  const auto* conv = std::get_if<Conv>(&op);
  return conv != nullptr && conv->groups > 1 && graph.constant(conv->weights).shape()[1] == 1;
}

int64_t MacsOf(const Graph& graph, const Node& node) {
  const ConstantId id = WeightsOf(node.op);
  if (id == kNoConstant) return 0;
  const Shape& weights = graph.constant(id).shape();
  // A transposed convolution multiplies every input element with every weight of its group; the others make every
  // output element from one filter.
  if (const auto* transposed = std::get_if<ConvTranspose>(&node.op)) {
    return graph.value(node.inputs[0]).shape.elements() * (weights[0] / transposed->groups) * weights[2] * weights[3];
  }
  return graph.value(node.output).shape.elements() * weights.InnerElements(0);
}

}  // namespace bitstage
