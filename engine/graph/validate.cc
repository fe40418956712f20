#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <unordered_set>

#include "engine/base/refuse.h"
#include "engine/base/status_macros.h"
#include "engine/graph/graph.h"
#include "engine/graph/shape_inference.h"

namespace bitstage {
namespace {

// One image of a graph may not ask for more: some hours of one CPU.
constexpr int64_t kMaxMacs = int64_t{1} << 50;

template <typename Items>
absl::Status CheckNames(absl::string_view kind, const Items& items) {
  std::unordered_set<std::string> seen;
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].name.empty()) return Refuse(kind, " ", i, " has no name");
    if (!seen.insert(items[i].name).second) return Refuse("two ", kind, "s are named '", items[i].name, "'");
  }
  return absl::OkStatus();
}

// 255 · Σ|folded weight| of every output channel must fit in the int32 accumulators (docs/integer-arithmetic.md §2).
absl::Status CheckAccumulators(const WeightCodes& codes) {
  const int64_t per_output = codes.shape.InnerElements(0);
  const int alpha = codes.alpha.empty() ? 1 : *std::max_element(codes.alpha.begin(), codes.alpha.end());
  if (per_output <= ((int64_t{1} << 31) - 1) / 255 / (codes.MaxMagnitude() * alpha)) return absl::OkStatus();
  const std::vector<int8_t> folded = codes.Folded();
  for (int64_t o = 0; o < codes.shape[0]; ++o) {
    int64_t sum = 0;
    for (int64_t i = 0; i < per_output; ++i) {
      sum += std::abs(static_cast<int>(folded[static_cast<size_t>(o * per_output + i)]));
    }
    if (255 * sum >= int64_t{1} << 31) {
      return Refuse("output ", o, " can overflow its accumulator: 255 times the sum of weights is ", 255 * sum);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckConstant(const Constant& constant, bool with_codes) {
  if (constant.values.has_value() == constant.codes.has_value()) return Refuse("needs either values or codes");
  if (constant.codes) {
    BITSTAGE_RETURN_IF_ERROR(CheckShape(constant.codes->shape));
    return with_codes ? ValidateCodes(*constant.codes) : ValidateWithoutCodes(*constant.codes);
  }
  if (constant.values->type() != DataType::kFloat32) {
    return Refuse("type ", Name(constant.values->type()), ", expected FP32");
  }
  BITSTAGE_RETURN_IF_ERROR(CheckShape(constant.values->shape()));
  const std::span<const float> values = constant.values->Span<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) return Refuse("element ", i, " is ", values[i], ", expected a finite number");
  }
  return absl::OkStatus();
}

absl::Status CheckValue(const Value& value) {
  BITSTAGE_RETURN_IF_ERROR(CheckShape(value.shape));
  if (!value.grid) return absl::OkStatus();
  if (value.type != DataType::kFloat32) return Refuse("a grid on type ", Name(value.type), ", expected FP32");
  return Validate(*value.grid, value.shape.rank() == 0 ? 1 : value.shape[0]);
}

// ArgMax makes indices; what only moves elements keeps their type; everything else computes on float32.
absl::StatusOr<DataType> InferType(const Graph& graph, const Node& node) {
  const DataType input = graph.value(node.inputs[0]).type;
  const auto* unary = std::get_if<Unary>(&node.op);
  if (std::holds_alternative<Reshape>(node.op) || (unary != nullptr && unary->kind == UnaryKind::kIdentity)) {
    return input;
  }
  for (const ValueId id : node.inputs) {
    const Value& value = graph.value(id);
    if (value.type != DataType::kFloat32) {
      return Refuse("input '", value.name, "' has type ", Name(value.type), ", expected FP32");
    }
  }
  return std::holds_alternative<ArgMax>(node.op) ? DataType::kInt64 : DataType::kFloat32;
}

// Codes of weights hold w·step where the input has a step per channel, and channels are axis 0 of the input: a fully
// connected layer that sums over another axis cannot.
absl::Status CheckStepPerChannel(const Graph& graph, const Node& node) {
  const auto* fc = std::get_if<FullyConnected>(&node.op);
  if (fc == nullptr || !graph.constant(fc->weights).codes) return absl::OkStatus();
  const Value& input = graph.value(node.inputs[0]);
  if (!input.grid || !input.grid->HasStepPerChannel() || input.shape.rank() == 1) return absl::OkStatus();
  return Refuse("input '", input.name, "' of shape ", input.shape.ToString(),
                " has a step per channel, which is not the axis that is summed");
}

class GraphCheck {
 public:
  GraphCheck(const Graph& graph, bool with_codes)
      : graph_(graph), with_codes_(with_codes), defined_(graph.values.size(), false) {}

  absl::Status Run() {
    BITSTAGE_RETURN_IF_ERROR(CheckNames("value", graph_.values));
    BITSTAGE_RETURN_IF_ERROR(CheckNames("constant", graph_.constants));
    BITSTAGE_RETURN_IF_ERROR(CheckNames("node", graph_.nodes));
    for (const Value& value : graph_.values) {
      if (absl::Status s = CheckValue(value); !s.ok()) return Refuse("value '", value.name, "': ", s.message());
    }
    for (const Constant& constant : graph_.constants) {
      if (absl::Status s = CheckConstant(constant, with_codes_); !s.ok()) {
        return Refuse("constant '", constant.name, "': ", s.message());
      }
    }
    BITSTAGE_RETURN_IF_ERROR(CheckInputs());
    for (const Node& node : graph_.nodes) BITSTAGE_RETURN_IF_ERROR(InNode(node, CheckNode(node)));
    for (size_t id = 0; id < defined_.size(); ++id) {
      if (!defined_[id]) return Refuse("value '", graph_.values[id].name, "' is made by no node");
    }
    return CheckOutputs();
  }

 private:
  [[nodiscard]] bool IsValue(ValueId id) const { return id >= 0 && static_cast<size_t>(id) < graph_.values.size(); }

  absl::Status Define(ValueId id) {
    if (!IsValue(id)) return Refuse("output is value ", id, " of ", graph_.values.size());
    if (defined_[static_cast<size_t>(id)]) return Refuse("value '", graph_.value(id).name, "' is assigned twice");
    defined_[static_cast<size_t>(id)] = true;
    return absl::OkStatus();
  }

  absl::Status CheckInputs() {
    if (graph_.inputs.empty()) return Refuse("the graph has no input");
    for (const ValueId id : graph_.inputs) {
      if (absl::Status s = Define(id); !s.ok()) return Refuse("graph input: ", s.message());
      if (graph_.value(id).type != DataType::kFloat32) {
        return Refuse("graph input '", graph_.value(id).name, "' has type ", Name(graph_.value(id).type),
                      ", expected FP32");
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckNode(const Node& node) {
    for (const ValueId id : node.inputs) {
      if (!IsValue(id)) return Refuse("input is value ", id, " of ", graph_.values.size());
      if (!defined_[static_cast<size_t>(id)]) {
        return Refuse("input '", graph_.value(id).name, "' is not made by an earlier node");
      }
    }
    BITSTAGE_RETURN_IF_ERROR(Define(node.output));
    BITSTAGE_ASSIGN_OR_RETURN(const Shape shape, InferNodeShape(graph_, node));
    const Value& output = graph_.value(node.output);
    if (!(shape == output.shape)) {
      return Refuse("output '", output.name, "' is declared as ", output.shape.ToString(), ", but its shape is ",
                    shape.ToString());
    }
    BITSTAGE_ASSIGN_OR_RETURN(const DataType type, InferType(graph_, node));
    if (type != output.type) {
      return Refuse("output '", output.name, "' is declared as ", Name(output.type), ", but its type is ", Name(type));
    }
    BITSTAGE_RETURN_IF_ERROR(CheckStepPerChannel(graph_, node));
    macs_ += MacsOf(graph_, node);  // each term is below 2^62, the sum before it at most 2^50
    if (macs_ > kMaxMacs) return Refuse("the network needs more than ", kMaxMacs, " multiply-accumulates an image");
    return absl::OkStatus();
  }

  absl::Status CheckOutputs() const {
    if (graph_.outputs.empty()) return Refuse("the graph has no output");
    std::unordered_set<ValueId> seen;
    for (const ValueId id : graph_.outputs) {
      if (!IsValue(id)) return Refuse("graph output is value ", id, " of ", graph_.values.size());
      if (!seen.insert(id).second) return Refuse("value '", graph_.value(id).name, "' is a graph output twice");
    }
    return absl::OkStatus();
  }

  const Graph& graph_;
  bool with_codes_;
  std::vector<bool> defined_;
  int64_t macs_ = 0;
};

}  // namespace

absl::Status Validate(const Graph& graph) { return GraphCheck(graph, /*with_codes=*/true).Run(); }
absl::Status ValidateWithoutCodes(const Graph& graph) { return GraphCheck(graph, /*with_codes=*/false).Run(); }

absl::Status ValidateCodes(const WeightCodes& weights) {
  BITSTAGE_RETURN_IF_ERROR(Validate(weights));
  return CheckAccumulators(weights);
}

}  // namespace bitstage
