#include "engine/format/onnx_translation.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/graph/shape_inference.h"

namespace bitstage {

std::string UniqueNames::Take(std::string name) {
  if (taken_.insert(name).second) return name;
  for (int64_t& next = next_[name];;) {
    std::string candidate = absl::StrCat(name, "#", ++next + 1);
    if (taken_.insert(candidate).second) return candidate;
  }
}

absl::Status OnnxTranslation::Annotate(const absl::Status& status) const {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("node '", absl::Utf8SafeCEscape(node_.name), "' (", node_.op_type,
                                                  ", opset ", opset(), "): ", status.message()));
}

absl::Status OnnxTranslation::Invalid(absl::string_view message) const {
  return Annotate(absl::InvalidArgumentError(message));
}

absl::Status OnnxTranslation::Unsupported(absl::string_view message) const {
  return Annotate(absl::UnimplementedError(message));
}

std::string OnnxTranslation::Describe(size_t input) const {
  if (!Has(input)) return absl::StrCat("input ", input);
  return absl::StrCat("input ", input, " ('", node_.inputs[input], "')");
}

bool OnnxTranslation::IsConstant(size_t input) const {
  if (!Has(input)) return false;
  const auto found = state_.values.find(node_.inputs[input]);
  return found != state_.values.end() && found->second.constant != nullptr;
}

bool OnnxTranslation::AllConstant() const {
  for (size_t i = 0; i < node_.inputs.size(); ++i) {
    if (Has(i) && !IsConstant(i)) return false;
  }
  return true;
}

absl::Status OnnxTranslation::CheckInputCount(size_t least, size_t most) const {
  const size_t count = node_.inputs.size();
  if (count >= least && count <= most) return absl::OkStatus();
  return Invalid(absl::StrCat("has ", count, " inputs, expected ", least, " to ", most));
}

absl::StatusOr<const OnnxValue*> OnnxTranslation::Input(size_t input) const {
  if (!Has(input)) return Invalid(absl::StrCat("input ", input, " is missing"));
  const auto found = state_.values.find(node_.inputs[input]);
  if (found == state_.values.end()) {
    return Invalid(absl::StrCat(Describe(input),
                                " is neither an initializer, a graph input nor a (supported) output of "
                                "an earlier node"));
  }
  return &found->second;
}

absl::StatusOr<ValueId> OnnxTranslation::Activation(size_t input) const {
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxValue* value, Input(input));
  if (value->constant != nullptr) {
    return Unsupported(absl::StrCat(Describe(input), " is a constant, expected an activation"));
  }
  if (value->codes)
    return Unsupported(absl::StrCat(Describe(input), " is quantized, expected a DequantizeLinear first"));
  const Value& activation = state_.graph.value(value->activation);
  if (activation.type != DataType::kFloat32) {
    return Unsupported(absl::StrCat(Describe(input), " has type ", Name(activation.type), ", expected FP32"));
  }
  return value->activation;
}

absl::StatusOr<ValueId> OnnxTranslation::ActivationOfRank(size_t input, int rank) const {
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId value, Activation(input));
  if (ShapeOf(value).rank() + 1 == rank) return value;
  return Unsupported(absl::StrCat(Describe(input), " has shape ", ShapeOf(value).WithOuter(batch()).ToString(),
                                  ", expected rank ", rank));
}

absl::StatusOr<OnnxConstant> OnnxTranslation::Constant(size_t input) const {
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxValue* value, Input(input));
  if (value->constant != nullptr) return value->constant;
  return Unsupported(absl::StrCat(Describe(input), " is computed from the network's input, expected a constant"));
}

absl::StatusOr<OnnxConstant> OnnxTranslation::FloatConstant(size_t input) const {
  BITSTAGE_ASSIGN_OR_RETURN(OnnxConstant constant, Constant(input));
  if (constant->type() == DataType::kFloat32) return constant;
  return Unsupported(absl::StrCat(Describe(input), " has type ", Name(constant->type()), ", expected FP32"));
}

absl::StatusOr<float> OnnxTranslation::FloatScalar(size_t input) const {
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, FloatConstant(input));
  if (constant->shape().elements() == 1) return constant->Span<float>()[0];
  return Invalid(absl::StrCat(Describe(input), " has shape ", constant->shape().ToString(), ", expected one number"));
}

absl::StatusOr<std::optional<std::vector<int64_t>>> OnnxTranslation::Integers(size_t input) const {
  if (!Has(input)) return std::nullopt;
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, Constant(input));
  absl::StatusOr<std::vector<int64_t>> integers = IntegersOf(*constant);
  if (integers.ok()) return std::optional(*std::move(integers));
  return Invalid(absl::StrCat(Describe(input), ": ", integers.status().message()));
}

Shape OnnxTranslation::FullShape(const OnnxValue& value) const {
  return value.constant != nullptr ? value.constant->shape() : ShapeOf(value.activation).WithOuter(batch());
}

const OnnxAttribute* OnnxTranslation::Find(absl::string_view name) {
  for (size_t i = 0; i < node_.attributes.size(); ++i) {
    if (node_.attributes[i].name != name) continue;
    read_[i] = true;
    return &node_.attributes[i];
  }
  return nullptr;
}

namespace {

template <typename T>
absl::StatusOr<std::optional<T>> Typed(const OnnxTranslation& node, const OnnxAttribute* attribute, const char* type) {
  if (attribute == nullptr) return std::nullopt;
  if (const T* value = std::get_if<T>(&attribute->value)) return *value;
  return node.Invalid(absl::StrCat("attribute '", attribute->name, "' is not of type ", type));
}

}  // namespace

absl::StatusOr<int64_t> OnnxTranslation::Int(absl::string_view name, int64_t otherwise) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::optional<int64_t> value, Typed<int64_t>(*this, Find(name), "INT"));
  return value.value_or(otherwise);
}

absl::StatusOr<float> OnnxTranslation::Float(absl::string_view name, float otherwise) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::optional<float> value, Typed<float>(*this, Find(name), "FLOAT"));
  return value.value_or(otherwise);
}

absl::StatusOr<std::string> OnnxTranslation::String(absl::string_view name, absl::string_view otherwise) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::optional<std::string> value, Typed<std::string>(*this, Find(name), "STRING"));
  return value.value_or(std::string(otherwise));
}

absl::StatusOr<std::optional<std::vector<int64_t>>> OnnxTranslation::Ints(absl::string_view name) {
  return Typed<std::vector<int64_t>>(*this, Find(name), "INTS");
}

absl::StatusOr<std::optional<std::vector<int64_t>>> OnnxTranslation::IntsOrInput(absl::string_view name, size_t input,
                                                                                 int64_t since) {
  return opset() < since ? Ints(name) : Integers(input);
}

absl::Status OnnxTranslation::CheckAllAttributesRead() const {
  for (size_t i = 0; i < read_.size(); ++i) {
    if (!read_[i]) return Unsupported(absl::StrCat("attribute '", node_.attributes[i].name, "' is not supported here"));
  }
  return absl::OkStatus();
}

absl::Status OnnxTranslation::Bind(size_t output, OnnxValue value) {
  if (output >= node_.outputs.size() || node_.outputs[output].empty()) return absl::OkStatus();
  if (!state_.values.emplace(node_.outputs[output], std::move(value)).second) {
    return Invalid(absl::StrCat("output '", node_.outputs[output], "' is the name of an earlier value too"));
  }
  return absl::OkStatus();
}

absl::Status OnnxTranslation::BindConstant(size_t output, Tensor tensor) {
  return Bind(output, OnnxValue{std::make_shared<const Tensor>(std::move(tensor)), -1, std::nullopt});
}

absl::Status OnnxTranslation::BindConstant(size_t output, absl::StatusOr<Tensor> tensor) {
  if (!tensor.ok()) return Annotate(tensor.status());
  return BindConstant(output, *std::move(tensor));
}

absl::StatusOr<ValueId> OnnxTranslation::Emit(Op op, std::vector<ValueId> inputs, size_t output,
                                              absl::string_view suffix) {
  const std::string& name = node_.outputs[output].empty() ? node_.name : node_.outputs[output];
  // What is not an index keeps its input's type: a reshaped map of indices is one too.
  const bool is_index = std::holds_alternative<ArgMax>(op);
  const DataType type = is_index ? DataType::kInt64 : state_.graph.value(inputs[0]).type;
  Node node{state_.node_names.Take(absl::StrCat(node_.name, suffix)), std::move(op), std::move(inputs), -1};
  absl::StatusOr<Shape> shape = InferNodeShape(state_.graph, node);
  if (!shape.ok()) return Annotate(shape.status());
  if (const absl::Status status = CheckOnnxShape(shape->WithOuter(batch())); !status.ok()) return Annotate(status);
  node.output = state_.graph.AddValue(
      {state_.value_names.Take(absl::StrCat(name, suffix)), *std::move(shape), type, std::nullopt});
  state_.graph.nodes.push_back(std::move(node));
  return state_.graph.nodes.back().output;
}

absl::StatusOr<ValueId> OnnxTranslation::Emit(Op op, std::initializer_list<ValueId> inputs, absl::string_view suffix) {
  return Emit(std::move(op), std::vector<ValueId>(inputs), 0, suffix);
}

absl::Status OnnxTranslation::EmitOutput(Op op, std::initializer_list<ValueId> inputs) {
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId value, Emit(std::move(op), inputs));
  return Bind(0, OnnxValue{nullptr, value, std::nullopt});
}

absl::StatusOr<ConstantId> OnnxTranslation::AddConstant(Tensor values, absl::string_view suffix) {
  if (absl::Status status = folder().Charge(values.type(), values.shape()); !status.ok()) return Annotate(status);
  return state_.graph.AddConstant(
      {state_.constant_names.Take(absl::StrCat(node_.name, suffix)), std::move(values), std::nullopt});
}

}  // namespace bitstage
