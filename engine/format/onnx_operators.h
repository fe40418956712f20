// The operators that the importer takes: a table from the name and opset to the function that translates one node.
//
// A translate function reads inputs and attributes through OnnxTranslation, then binds every output it supports to a
// constant (folded at once) or to the value of the ops it emits. Attributes that none of them reads are refused.
#pragma once

#include <span>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/format/onnx_translation.h"

namespace bitstage {

struct OnnxOperator {
  absl::string_view name;
  int64_t first_opset;
  int64_t last_opset;
  absl::Status (*translate)(OnnxTranslation& node);
};

// Sorted by name.
std::span<const OnnxOperator> OnnxOperators();

// null where there is no such operator; the opset is not looked at.
const OnnxOperator* FindOnnxOperator(absl::string_view name);

namespace onnx_ops {

// onnx_ops_linear.cc
absl::Status TranslateConv(OnnxTranslation& node);
absl::Status TranslateConvTranspose(OnnxTranslation& node);
absl::Status TranslateGemm(OnnxTranslation& node);
absl::Status TranslateMatMul(OnnxTranslation& node);
absl::Status TranslateBatchNormalization(OnnxTranslation& node);
// onnx_ops_pooling.cc
absl::Status TranslateMaxPool(OnnxTranslation& node);
absl::Status TranslateAveragePool(OnnxTranslation& node);
absl::Status TranslateGlobalAveragePool(OnnxTranslation& node);
absl::Status TranslateReduceMean(OnnxTranslation& node);
// onnx_ops_resize.cc
absl::Status TranslateResize(OnnxTranslation& node);
// onnx_ops_elementwise.cc
absl::Status TranslateRelu(OnnxTranslation& node);
absl::Status TranslateClip(OnnxTranslation& node);
absl::Status TranslateLeakyRelu(OnnxTranslation& node);
absl::Status TranslateSigmoid(OnnxTranslation& node);
absl::Status TranslateHardSigmoid(OnnxTranslation& node);
absl::Status TranslateHardSwish(OnnxTranslation& node);
absl::Status TranslateTanh(OnnxTranslation& node);
absl::Status TranslateAdd(OnnxTranslation& node);
absl::Status TranslateSub(OnnxTranslation& node);
absl::Status TranslateMul(OnnxTranslation& node);
absl::Status TranslateDiv(OnnxTranslation& node);
absl::Status TranslateSoftmax(OnnxTranslation& node);
absl::Status TranslateArgMax(OnnxTranslation& node);
// onnx_ops_shape.cc
absl::Status TranslateReshape(OnnxTranslation& node);
absl::Status TranslateFlatten(OnnxTranslation& node);
absl::Status TranslateSqueeze(OnnxTranslation& node);
absl::Status TranslateUnsqueeze(OnnxTranslation& node);
absl::Status TranslateTranspose(OnnxTranslation& node);
absl::Status TranslateIdentity(OnnxTranslation& node);
absl::Status TranslateDropout(OnnxTranslation& node);
// onnx_ops_movement.cc
absl::Status TranslateConcat(OnnxTranslation& node);
absl::Status TranslatePad(OnnxTranslation& node);
absl::Status TranslateSlice(OnnxTranslation& node);
absl::Status TranslateSplit(OnnxTranslation& node);
// onnx_ops_constant.cc
absl::Status TranslateConstant(OnnxTranslation& node);
absl::Status TranslateConstantOfShape(OnnxTranslation& node);
absl::Status TranslateShape(OnnxTranslation& node);
absl::Status TranslateGather(OnnxTranslation& node);
absl::Status TranslateCast(OnnxTranslation& node);
absl::Status TranslateRange(OnnxTranslation& node);
absl::Status TranslateFloor(OnnxTranslation& node);
absl::Status TranslateCeil(OnnxTranslation& node);
// onnx_ops_quantization.cc
absl::Status TranslateQuantizeLinear(OnnxTranslation& node);
absl::Status TranslateDequantizeLinear(OnnxTranslation& node);

}  // namespace onnx_ops
}  // namespace bitstage
