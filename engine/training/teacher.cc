// The float network that teaches, and what of it training supports.
#include <torch/csrc/autograd/grad_mode.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/compression/calibration.h"
#include "engine/training/movement.h"
#include "engine/training/student.h"

namespace bitstage {
namespace {

constexpr absl::string_view kSupported =
    "Conv, FullyConnected on vectors, addition of values, max and average pooling (the latter without padding), "
    "GlobalAveragePool, Concat of channels, Pad with 0, Slice, Reshape, Transpose, clamps in these, a closing Softmax";

bool IsSupported(const Graph& graph, const Node& node) {
  if (IsMovement(node.op) || std::holds_alternative<Conv>(node.op)) return true;
  if (std::holds_alternative<FullyConnected>(node.op)) return graph.value(node.output).shape.rank() == 1;
  if (const auto* binary = std::get_if<Binary>(&node.op)) {
    return binary->kind == BinaryKind::kAdd && graph.value(node.inputs[0]).shape == graph.value(node.inputs[1]).shape &&
           graph.value(node.output).shape.rank() != 2;
  }
  if (std::holds_alternative<Pool>(node.op) || std::holds_alternative<GlobalAveragePool>(node.op)) {
    return WindowPixels(graph, node) > 0;
  }
  return false;
}

at::Tensor Clamped(const std::optional<Clamp>& clamp, const at::Tensor& x) {
  if (!clamp) return x;
  constexpr float kMost = std::numeric_limits<float>::max();
  return at::clamp(x, std::max(clamp->low, -kMost), std::min(clamp->high, kMost));
}

std::optional<Clamp> ClampOf(const Op& op) {
  if (const auto* conv = std::get_if<Conv>(&op)) return conv->clamp;
  if (const auto* fc = std::get_if<FullyConnected>(&op)) return fc->clamp;
  if (const auto* binary = std::get_if<Binary>(&op)) return binary->clamp;
  return std::nullopt;
}

at::Tensor BiasOrNone(const std::vector<at::Tensor>& constants, ConstantId id) {
  return id == kNoConstant ? at::Tensor() : constants[static_cast<size_t>(id)];
}

}  // namespace

absl::Status CheckTrainable(const Graph& graph) {
  if (graph.inputs.size() != 1) {
    return absl::UnimplementedError(absl::StrCat("the network has ", graph.inputs.size(), " inputs, expected 1"));
  }
  const ValueId features = FeatureValue(graph);
  for (const Node& node : graph.nodes) {
    if (!IsSupported(graph, node)) {
      return absl::UnimplementedError(absl::StrCat("node '", node.name, "': training does not support ",
                                                   OpName(node.op), " as it is used here; supported are ", kSupported));
    }
    if (node.output == features) break;
  }
  const ValueId output = graph.outputs[0];
  for (const Node& node : graph.nodes) {
    if (output != features && node.output == output && !std::holds_alternative<Softmax>(node.op)) {
      return absl::UnimplementedError(
          absl::StrCat("node '", node.name, "': training does not support a closing ", OpName(node.op)));
    }
  }
  const int rank = graph.value(features).shape.rank();
  if (rank != 1 && rank != 3) {
    return absl::UnimplementedError(absl::StrCat("the decision is read from '", graph.value(features).name,
                                                 "' of rank ", rank, ", expected classes or a map of classes"));
  }
  return absl::OkStatus();
}

std::vector<at::Tensor> TeacherConstants(const Graph& graph) {
  std::vector<at::Tensor> constants;
  for (const Constant& constant : graph.constants) {
    at::Tensor t;
    if (constant.values && constant.values->type() == DataType::kFloat32) {
      const Shape& shape = constant.values->shape();
      t = at::from_blob(const_cast<std::byte*>(constant.values->data()),
                        std::vector<int64_t>(shape.begin(), shape.end()), at::kFloat)
              .clone();
      if (t.dim() == 4) t = t.contiguous(at::MemoryFormat::ChannelsLast);
    }
    constants.push_back(t);
  }
  return constants;
}

at::Tensor TeacherLogits(const Graph& graph, const std::vector<at::Tensor>& constants, const at::Tensor& images,
                         const SumObserver& on_sums) {
  const torch::autograd::AutoGradMode no_gradients(false);
  std::vector<at::Tensor> values(graph.values.size());
  const auto at = [&](ValueId id) -> at::Tensor& { return values[static_cast<size_t>(id)]; };
  at(graph.inputs[0]) = images;
  const ValueId features = FeatureValue(graph);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    at::Tensor y;
    if (const ConstantId weights = WeightsOf(node.op); weights != kNoConstant) {
      y = WeightedSums(node, at(node.inputs[0]), constants[static_cast<size_t>(weights)],
                       BiasOrNone(constants, BiasOf(node.op)));
      if (on_sums) on_sums(n, y);
      if (node.inputs.size() > 1) y = y + at(node.inputs[1]);
      y = Clamped(ClampOf(node.op), y);
    } else if (std::holds_alternative<Binary>(node.op)) {
      y = Clamped(ClampOf(node.op), at(node.inputs[0]) + at(node.inputs[1]));
    } else if (!IsMovement(node.op)) {
      y = PoolSums(node.op, at(node.inputs[0])) / static_cast<double>(WindowPixels(graph, node));
    } else {
      std::vector<at::Tensor> inputs;
      for (const ValueId id : node.inputs) inputs.push_back(at(id));
      y = RunMovement(graph, node, inputs, 0, -std::numeric_limits<double>::infinity());
    }
    at(node.output) = y;
    if (node.output == features) break;
  }
  return AsLogits(at(features));
}

at::Tensor AsLogits(const at::Tensor& features) {
  if (features.dim() == 2) return features;
  return features.permute({0, 2, 3, 1}).reshape({-1, features.size(1)});
}

}  // namespace bitstage
