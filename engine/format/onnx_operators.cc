#include "engine/format/onnx_operators.h"

#include <algorithm>
#include <vector>

#include "engine/format/onnx_import.h"

namespace bitstage {
namespace {

using namespace onnx_ops;

constexpr int64_t kMin = kMinOnnxOpset;
constexpr int64_t kMax = kMaxOnnxOpset;

constexpr OnnxOperator kOperators[] = {
    {"Add", kMin, kMax, TranslateAdd},
    {"ArgMax", kMin, kMax, TranslateArgMax},
    {"AveragePool", kMin, kMax, TranslateAveragePool},
    {"BatchNormalization", kMin, kMax, TranslateBatchNormalization},
    {"Cast", kMin, kMax, TranslateCast},
    {"Ceil", kMin, kMax, TranslateCeil},
    {"Clip", kMin, kMax, TranslateClip},
    {"Concat", kMin, kMax, TranslateConcat},
    {"Constant", kMin, kMax, TranslateConstant},
    {"ConstantOfShape", kMin, kMax, TranslateConstantOfShape},
    {"Conv", kMin, kMax, TranslateConv},
    {"ConvTranspose", kMin, kMax, TranslateConvTranspose},
    {"DequantizeLinear", 10, kMax, TranslateDequantizeLinear},
    {"Div", kMin, kMax, TranslateDiv},
    {"Dropout", kMin, kMax, TranslateDropout},
    {"Flatten", kMin, kMax, TranslateFlatten},
    {"Floor", kMin, kMax, TranslateFloor},
    {"Gather", kMin, kMax, TranslateGather},
    {"Gemm", kMin, kMax, TranslateGemm},
    {"GlobalAveragePool", kMin, kMax, TranslateGlobalAveragePool},
    {"HardSigmoid", kMin, kMax, TranslateHardSigmoid},
    {"HardSwish", 14, kMax, TranslateHardSwish},
    {"Identity", kMin, kMax, TranslateIdentity},
    {"LeakyRelu", kMin, kMax, TranslateLeakyRelu},
    {"MatMul", kMin, kMax, TranslateMatMul},
    {"MaxPool", kMin, kMax, TranslateMaxPool},
    {"Mul", kMin, kMax, TranslateMul},
    {"Pad", kMin, kMax, TranslatePad},
    {"QuantizeLinear", 10, kMax, TranslateQuantizeLinear},
    {"Range", 11, kMax, TranslateRange},
    {"ReduceMean", kMin, kMax, TranslateReduceMean},
    {"Relu", kMin, kMax, TranslateRelu},
    {"Reshape", kMin, kMax, TranslateReshape},
    {"Resize", 10, kMax, TranslateResize},
    {"Shape", kMin, kMax, TranslateShape},
    {"Sigmoid", kMin, kMax, TranslateSigmoid},
    {"Slice", kMin, kMax, TranslateSlice},
    {"Softmax", kMin, kMax, TranslateSoftmax},
    {"Split", kMin, kMax, TranslateSplit},
    {"Squeeze", kMin, kMax, TranslateSqueeze},
    {"Sub", kMin, kMax, TranslateSub},
    {"Tanh", kMin, kMax, TranslateTanh},
    {"Transpose", kMin, kMax, TranslateTranspose},
    {"Unsqueeze", kMin, kMax, TranslateUnsqueeze},
    {"Upsample", kMin, 9, TranslateResize},
};

}  // namespace

std::span<const OnnxOperator> OnnxOperators() { return kOperators; }

const OnnxOperator* FindOnnxOperator(absl::string_view name) {
  const auto* found = std::lower_bound(std::begin(kOperators), std::end(kOperators), name,
                                       [](const OnnxOperator& a, absl::string_view b) { return a.name < b; });
  return found != std::end(kOperators) && found->name == name ? found : nullptr;
}

std::span<const absl::string_view> SupportedOnnxOperators() {
  static const auto* const names = [] {
    auto* list = new std::vector<absl::string_view>;
    for (const OnnxOperator& op : kOperators) list->push_back(op.name);
    return list;
  }();
  return *names;
}

}  // namespace bitstage
