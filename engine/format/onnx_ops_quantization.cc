// QuantizeLinear and DequantizeLinear: folded on constants; a pair of them on an activation becomes FakeQuantize.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_operators.h"

namespace bitstage::onnx_ops {
namespace {

struct Parameters {
  OnnxConstant scale;
  OnnxConstant zero_point;  // or null
  int axis = 1;
};

absl::StatusOr<Parameters> ReadParameters(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(2, 3));
  Parameters parameters;
  BITSTAGE_ASSIGN_OR_RETURN(parameters.scale, node.FloatConstant(1));
  if (node.Has(2)) {
    BITSTAGE_ASSIGN_OR_RETURN(parameters.zero_point, node.Constant(2));
  }
  const auto scales = parameters.scale->Span<float>();
  if (scales.empty() || !std::all_of(scales.begin(), scales.end(), [](float s) { return s > 0; })) {
    return node.Invalid(absl::StrCat(node.Describe(1), ": scales must be positive"));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxValue* value, node.Input(0));
  const int rank = node.FullShape(*value).rank();
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t axis, node.Int("axis", 1));
  if (axis < -rank || axis >= std::max(rank, 2)) return node.Invalid(absl::StrCat("axis ", axis, " of rank ", rank));
  parameters.axis = static_cast<int>(axis < 0 ? axis + rank : axis);
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t block, node.Int("block_size", 0));
  if (block != 0) return node.Unsupported("attribute 'block_size' is set");
  return parameters;
}

// In the terms of an activation: one step, or one a channel, and one zero point.
absl::StatusOr<OnnxCodes> ActivationCodes(OnnxTranslation& node, const Parameters& parameters) {
  OnnxCodes codes;
  const std::span<const float> scales = parameters.scale->Span<float>();
  codes.step.assign(scales.begin(), scales.end());
  if (codes.step.size() > 1 && parameters.axis != 1) {
    return node.Unsupported(absl::StrCat("scales along axis ", parameters.axis, " of an activation; expected axis 1"));
  }
  if (parameters.zero_point != nullptr) {
    codes.type = parameters.zero_point->type();
    if (codes.type != DataType::kUInt8 && codes.type != DataType::kInt8) {
      return node.Unsupported(
          absl::StrCat("quantizes an activation to ", Name(codes.type), " (only to UINT8 and INT8)"));
    }
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<int64_t> zero, IntegersOf(*parameters.zero_point));
    if (zero.empty() || std::adjacent_find(zero.begin(), zero.end(), std::not_equal_to<>()) != zero.end()) {
      return node.Unsupported(absl::StrCat(node.Describe(2), ": zero points differ between channels"));
    }
    codes.zero_point = static_cast<int>(zero[0]);
  }
  return codes;
}

}  // namespace

absl::Status TranslateQuantizeLinear(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const Parameters parameters, ReadParameters(node));
  node.Ignore("saturate");  // of 8-bit floats
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t output_type, node.Int("output_dtype", 0));
  if (output_type != 0) return node.Unsupported("attribute 'output_dtype' is set; give a zero point instead");
  if (node.IsConstant(0)) {
    BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, node.Constant(0));
    return node.BindConstant(
        0, node.folder().Quantize(*constant, *parameters.scale, parameters.zero_point.get(), parameters.axis));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(0));
  BITSTAGE_ASSIGN_OR_RETURN(OnnxCodes codes, ActivationCodes(node, parameters));
  const int low = codes.type == DataType::kInt8 ? -128 : 0;
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId value,
                            node.Emit(FakeQuantize{codes.step, codes.zero_point, low, low + 255}, {input}));
  return node.Bind(0, OnnxValue{nullptr, value, std::move(codes)});
}

absl::Status TranslateDequantizeLinear(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const Parameters parameters, ReadParameters(node));
  if (node.IsConstant(0)) {
    BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, node.Constant(0));
    return node.BindConstant(
        0, node.folder().Dequantize(*constant, *parameters.scale, parameters.zero_point.get(), parameters.axis));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxValue* found, node.Input(0));
  const OnnxValue value = *found;
  if (!value.codes) return node.Unsupported(absl::StrCat(node.Describe(0), " is not the output of a QuantizeLinear"));
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxCodes codes, ActivationCodes(node, parameters));
  if (codes.step != value.codes->step || codes.zero_point != value.codes->zero_point ||
      codes.type != value.codes->type) {
    return node.Unsupported("scale and zero point differ from those of the QuantizeLinear before it");
  }
  return node.Bind(0, OnnxValue{nullptr, value.activation, std::nullopt});
}

}  // namespace bitstage::onnx_ops
