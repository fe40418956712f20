// OnnxImportState: the graph under construction and what every ONNX name stands for so far.
// OnnxTranslation: one node while it is translated: checked access to its inputs and attributes, and the ways to bind
// its outputs. Every error it makes names the node, its operator and the opset.
//
// Shapes met here are ONNX's, with the batch in front; only Emit* turns to the per-image terms of engine/graph.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/format/onnx_constant_folding.h"
#include "engine/format/onnx_reader.h"
#include "engine/graph/graph.h"

namespace bitstage {

// Codes that a QuantizeLinear made of an activation and that only DequantizeLinear may read. The activation is already
// rounded to them.
struct OnnxCodes {
  std::vector<float> step;
  int zero_point = 0;
  DataType type = DataType::kUInt8;
};

// Either a constant or an activation.
struct OnnxValue {
  OnnxConstant constant;
  ValueId activation = -1;
  std::optional<OnnxCodes> codes;  // of `activation`
};

// Names as ONNX gave them, made unique with a suffix where it gave one twice.
class UniqueNames {
 public:
  std::string Take(std::string name);

 private:
  std::unordered_set<std::string> taken_;
  std::unordered_map<std::string, int64_t> next_;
};

struct OnnxImportState {
  OnnxImportState(int64_t opset_version, int64_t fold_budget_bytes) : opset(opset_version), folder(fold_budget_bytes) {}

  int64_t opset;
  int64_t batch = 1;  // the model's fixed batch, or 1 where it is free
  Graph graph;
  OnnxFolder folder;
  std::unordered_map<std::string, OnnxValue> values;
  UniqueNames node_names;
  UniqueNames value_names;
  UniqueNames constant_names;
};

class OnnxTranslation {
 public:
  OnnxTranslation(OnnxImportState& state, const OnnxNode& node)
      : state_(state), node_(node), read_(node.attributes.size(), false) {}

  [[nodiscard]] int64_t opset() const { return state_.opset; }
  [[nodiscard]] int64_t batch() const { return state_.batch; }
  [[nodiscard]] const OnnxNode& node() const { return node_; }
  [[nodiscard]] OnnxFolder& folder() { return state_.folder; }

  // Errors, and the errors of others, with the node in front.
  [[nodiscard]] absl::Status Invalid(absl::string_view message) const;
  [[nodiscard]] absl::Status Unsupported(absl::string_view message) const;
  [[nodiscard]] absl::Status Annotate(const absl::Status& status) const;

  // Inputs.
  [[nodiscard]] bool Has(size_t input) const { return input < node_.inputs.size() && !node_.inputs[input].empty(); }
  [[nodiscard]] bool IsConstant(size_t input) const;
  [[nodiscard]] bool AllConstant() const;
  absl::Status CheckInputCount(size_t least, size_t most) const;
  [[nodiscard]] absl::StatusOr<const OnnxValue*> Input(size_t input) const;
  // A float activation (not codes, not int64).
  [[nodiscard]] absl::StatusOr<ValueId> Activation(size_t input) const;
  // The same, of a full rank (batch included).
  [[nodiscard]] absl::StatusOr<ValueId> ActivationOfRank(size_t input, int rank) const;
  [[nodiscard]] absl::StatusOr<OnnxConstant> Constant(size_t input) const;
  [[nodiscard]] absl::StatusOr<OnnxConstant> FloatConstant(size_t input) const;
  [[nodiscard]] absl::StatusOr<float> FloatScalar(size_t input) const;
  // nullopt where the input is left out.
  [[nodiscard]] absl::StatusOr<std::optional<std::vector<int64_t>>> Integers(size_t input) const;
  // The shape of a constant, or of an activation with the batch in front.
  [[nodiscard]] Shape FullShape(const OnnxValue& value) const;
  [[nodiscard]] const Shape& ShapeOf(ValueId value) const { return state_.graph.value(value).shape; }
  // "input 1 ('conv1.weight')"
  [[nodiscard]] std::string Describe(size_t input) const;

  // Attributes. Reading one marks it as known: CheckAllAttributesRead refuses the rest.
  absl::StatusOr<int64_t> Int(absl::string_view name, int64_t otherwise);
  absl::StatusOr<float> Float(absl::string_view name, float otherwise);
  absl::StatusOr<std::string> String(absl::string_view name, absl::string_view otherwise);
  absl::StatusOr<std::optional<std::vector<int64_t>>> Ints(absl::string_view name);
  const OnnxAttribute* Find(absl::string_view name);
  // Attributes that do not matter to what we compute.
  void Ignore(absl::string_view name) { (void)Find(name); }
  absl::Status CheckAllAttributesRead() const;
  // Integers that are an attribute in opsets before `since` and an input from then on.
  absl::StatusOr<std::optional<std::vector<int64_t>>> IntsOrInput(absl::string_view name, size_t input, int64_t since);

  // Outputs.
  absl::Status Bind(size_t output, OnnxValue value);
  absl::Status BindConstant(size_t output, Tensor tensor);
  absl::Status BindConstant(size_t output, absl::StatusOr<Tensor> tensor);
  // Adds the op with a new value of the inferred shape; the value is named after the node's output and `suffix`.
  absl::StatusOr<ValueId> Emit(Op op, std::initializer_list<ValueId> inputs, absl::string_view suffix = "");
  absl::StatusOr<ValueId> Emit(Op op, std::vector<ValueId> inputs, size_t output, absl::string_view suffix);
  // Emit and Bind to output 0.
  absl::Status EmitOutput(Op op, std::initializer_list<ValueId> inputs);
  // A constant of the graph. Paid from the folder's budget: nodes may share an initializer, but each gets its own copy.
  absl::StatusOr<ConstantId> AddConstant(Tensor values, absl::string_view suffix);

 private:
  OnnxImportState& state_;
  const OnnxNode& node_;
  std::vector<bool> read_;
};

}  // namespace bitstage
