// What only ever yields constants: literals, shapes, and the arithmetic on them.
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_operators.h"
#include "engine/format/onnx_tensor.h"

namespace bitstage::onnx_ops {
namespace {

Tensor VectorOf(const std::vector<int64_t>& values) { return Tensor::Of<int64_t>({std::ssize(values)}, values); }

absl::StatusOr<std::vector<int64_t>> IntegerOperand(OnnxTranslation& node, size_t input) {
  BITSTAGE_ASSIGN_OR_RETURN(auto integers, node.Integers(input));
  if (!integers) return node.Invalid(absl::StrCat("input ", input, " is missing"));
  return *std::move(integers);
}

absl::Status FoldFloats(OnnxTranslation& node, float (*function)(float)) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, node.FloatConstant(0));
  absl::StatusOr<Tensor> result = node.folder().Reshape(*constant, constant->shape());
  if (!result.ok()) return node.Annotate(result.status());
  for (float& value : result->Span<float>()) value = function(value);
  return node.BindConstant(0, *std::move(result));
}

}  // namespace

absl::Status TranslateConstant(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(0, 0));
  if (node.node().attributes.size() != 1) return node.Invalid("needs exactly one attribute");
  const OnnxAttribute& attribute = node.node().attributes[0];
  for (const char* name : {"value", "value_float", "value_floats", "value_int", "value_ints"}) node.Ignore(name);
  if (const auto* tensor = std::get_if<OnnxConstant>(&attribute.value)) return node.Bind(0, OnnxValue{*tensor, -1, {}});
  if (const auto* integer = std::get_if<int64_t>(&attribute.value)) {
    return node.BindConstant(0, Tensor::Of<int64_t>({}, std::span(integer, 1)));
  }
  if (const auto* number = std::get_if<float>(&attribute.value)) {
    return node.BindConstant(0, Tensor::Of<float>({}, std::span(number, 1)));
  }
  if (const auto* integers = std::get_if<std::vector<int64_t>>(&attribute.value)) {
    return node.BindConstant(0, VectorOf(*integers));
  }
  if (const auto* numbers = std::get_if<std::vector<float>>(&attribute.value)) {
    return node.BindConstant(0, Tensor::Of<float>({std::ssize(*numbers)}, *numbers));
  }
  return node.Unsupported(absl::StrCat("attribute '", attribute.name, "' is a string"));
}

absl::Status TranslateConstantOfShape(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<int64_t> extents, IntegerOperand(node, 0));
  const OnnxAttribute* attribute = node.Find("value");
  Tensor fill(DataType::kFloat32, {1});
  if (attribute != nullptr) {
    const auto* tensor = std::get_if<OnnxConstant>(&attribute->value);
    if (tensor == nullptr || (*tensor)->shape().elements() != 1)
      return node.Invalid("attribute 'value' is not one number");
    fill = (*tensor)->Clone();
    fill.Reshape({1});
  }
  const Shape shape(extents.begin(), extents.end());
  if (absl::Status status = CheckOnnxShape(shape); !status.ok()) return node.Annotate(status);
  return node.BindConstant(0, node.folder().Expand(fill, shape.rank() == 0 ? Shape{1} : shape));
}

absl::Status TranslateShape(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxValue* value, node.Input(0));
  const Shape shape = node.FullShape(*value);
  BITSTAGE_ASSIGN_OR_RETURN(int64_t start, node.Int("start", 0));
  BITSTAGE_ASSIGN_OR_RETURN(int64_t end, node.Int("end", shape.rank()));
  const auto bound = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + shape.rank() : at, 0, shape.rank()); };
  start = bound(start);
  end = std::max(start, bound(end));
  return node.BindConstant(0, VectorOf(std::vector<int64_t>(shape.begin() + start, shape.begin() + end)));
}

absl::Status TranslateGather(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(2, 2));
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant data, node.Constant(0));
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant indices, node.Constant(1));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t attribute, node.Int("axis", 0));
  const absl::StatusOr<int> axis = NormalizeAxis(attribute, data->shape().rank());
  if (!axis.ok()) return node.Annotate(axis.status());
  return node.BindConstant(0, node.folder().Gather(*data, *indices, *axis));
}

absl::Status TranslateCast(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t to, node.Int("to", 0));
  node.Ignore("saturate");  // of 8-bit floats
  const absl::StatusOr<DataType> type = DataTypeOfOnnx(static_cast<int>(std::clamp<int64_t>(to, -1, 1000)));
  if (!type.ok()) return node.Annotate(type.status());
  if (node.IsConstant(0)) {
    BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, node.Constant(0));
    return node.BindConstant(0, node.folder().Cast(*constant, *type));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(0));
  if (*type != DataType::kFloat32)
    return node.Unsupported(absl::StrCat("casts an activation to ", OnnxTypeName(static_cast<int>(to))));
  return node.Bind(0, OnnxValue{nullptr, input, std::nullopt});
}

absl::Status TranslateRange(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(3, 3));
  std::array<int64_t, 3> bounds{};
  for (size_t i = 0; i < 3; ++i) {
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<int64_t> operand, IntegerOperand(node, i));
    if (operand.size() != 1 || std::abs(operand[0] / 2) > kMaxOnnxElements) {
      return node.Invalid(absl::StrCat(node.Describe(i), " is not one number of a reasonable size"));
    }
    bounds[i] = operand[0];
  }
  const auto [start, limit, delta] = bounds;
  if (delta == 0) return node.Invalid("the step is 0");
  const int64_t span = delta > 0 ? limit - start : start - limit;
  const int64_t count = span <= 0 ? 0 : DivideRoundUp(span, std::abs(delta));
  absl::StatusOr<Tensor> result = node.folder().NewTensor(DataType::kInt64, {count});
  if (!result.ok()) return node.Annotate(result.status());
  for (int64_t i = 0; i < count; ++i) result->Span<int64_t>()[static_cast<size_t>(i)] = start + i * delta;
  return node.BindConstant(0, *std::move(result));
}

absl::Status TranslateFloor(OnnxTranslation& node) {
  return FoldFloats(node, [](float x) { return std::floor(x); });
}
absl::Status TranslateCeil(OnnxTranslation& node) {
  return FoldFloats(node, [](float x) { return std::ceil(x); });
}

}  // namespace bitstage::onnx_ops
