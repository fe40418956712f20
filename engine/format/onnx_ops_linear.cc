// Convolutions, matrix products and batch normalization.
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_operators.h"
#include "engine/format/onnx_window.h"
#include "engine/graph/window_shape.h"

namespace bitstage::onnx_ops {
namespace {

// Weights of a 2-D convolution, and its input.
struct Operands {
  ValueId input;
  OnnxConstant weights;
};

absl::StatusOr<Operands> ConvOperands(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(2, 3));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.ActivationOfRank(0, 4));
  BITSTAGE_ASSIGN_OR_RETURN(OnnxConstant weights, node.FloatConstant(1));
  if (weights->shape().rank() != 4 || weights->shape().elements() == 0) {
    return node.Invalid(
        absl::StrCat(node.Describe(1), " has shape ", weights->shape().ToString(), ", expected rank 4"));
  }
  return Operands{input, std::move(weights)};
}

absl::StatusOr<ConstantId> OptionalBias(OnnxTranslation& node, size_t input) {
  if (!node.Has(input)) return kNoConstant;
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant bias, node.FloatConstant(input));
  return node.AddConstant(bias->Clone(), ".bias");
}

// auto_pad and output_shape of a transposed convolution: both state the output's extents, and the padding follows.
absl::Status ResolveTransposedPadding(OnnxTranslation& node, OnnxAutoPad auto_pad, const Shape& input,
                                      ConvTranspose& op) {
  BITSTAGE_ASSIGN_OR_RETURN(auto output_shape, node.Ints("output_shape"));
  if (output_shape && output_shape->size() == 4) output_shape->erase(output_shape->begin(), output_shape->begin() + 2);
  if (output_shape && output_shape->size() != 2)
    return node.Invalid("attribute 'output_shape' is not a height and a width");
  const bool same = auto_pad == OnnxAutoPad::kSameUpper || auto_pad == OnnxAutoPad::kSameLower;
  if (!output_shape && !same) return absl::OkStatus();
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t in = input[static_cast<int>(axis) + 1];
    const int64_t out = output_shape ? (*output_shape)[axis] : in * op.window.stride[axis];
    if (out < 1 || out > kMaxOnnxElements) return node.Invalid(absl::StrCat("output extent ", out));
    const int64_t total =
        op.window.stride[axis] * (in - 1) + DilatedKernel(op.window, axis) + op.output_padding[axis] - out;
    const int64_t pad = std::max<int64_t>(total, 0);
    op.output_padding[axis] += pad - total;
    op.window.pad_before[axis] = auto_pad == OnnxAutoPad::kSameUpper ? pad / 2 : pad - pad / 2;
    op.window.pad_after[axis] = pad - op.window.pad_before[axis];
  }
  return absl::OkStatus();
}

// factor · constant as a bias of `outputs` entries; ONNX lets it broadcast from one entry.
absl::StatusOr<ConstantId> GemmBias(OnnxTranslation& node, float factor, int64_t outputs) {
  if (!node.Has(2)) return kNoConstant;
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant c, node.FloatConstant(2));
  const int64_t elements = c->shape().elements();
  const int rank = c->shape().rank();
  if (rank > 2 || (elements != 1 && elements != outputs) || (rank > 0 && c->shape()[rank - 1] != elements)) {
    return node.Unsupported(absl::StrCat(node.Describe(2), " has shape ", c->shape().ToString(), ", expected 1 or ",
                                         outputs, " entries (one an output)"));
  }
  Tensor bias(DataType::kFloat32, {outputs});
  for (int64_t i = 0; i < outputs; ++i) {
    bias.Span<float>()[static_cast<size_t>(i)] = factor * c->Span<float>()[static_cast<size_t>(elements == 1 ? 0 : i)];
  }
  return node.AddConstant(std::move(bias), ".bias");
}

// A constant matrix, leading axes of one entry dropped.
absl::StatusOr<Tensor> ConstantMatrix(OnnxTranslation& node, size_t input, bool transpose) {
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, node.FloatConstant(input));
  const Shape& shape = constant->shape();
  const int rank = shape.rank();
  if (rank < 2 || shape.elements() == 0 || shape.elements() != shape[rank - 2] * shape[rank - 1]) {
    return node.Unsupported(
        absl::StrCat(node.Describe(input), " has shape ", shape.ToString(), ", expected one matrix"));
  }
  absl::StatusOr<Tensor> matrix = node.folder().Reshape(*constant, {shape[rank - 2], shape[rank - 1]});
  if (matrix.ok() && transpose) matrix = node.folder().Transpose(*matrix, std::array{1, 0});
  if (!matrix.ok()) return node.Annotate(matrix.status());
  return matrix;
}

std::vector<int> SwapLastTwo(int rank) {
  std::vector<int> permutation(static_cast<size_t>(rank));
  std::iota(permutation.begin(), permutation.end(), 0);
  std::swap(permutation[permutation.size() - 1], permutation[permutation.size() - 2]);
  return permutation;
}

}  // namespace

absl::Status TranslateConv(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const Operands operands, ConvOperands(node));
  const Shape& weights = operands.weights->shape();
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxWindow read, ReadOnnxWindow(node, {weights[2], weights[3]}));
  const Shape input = node.ShapeOf(operands.input);
  Conv conv;
  conv.window = ResolveAutoPad(read, input[1], input[2]);
  BITSTAGE_ASSIGN_OR_RETURN(conv.groups, node.Int("group", 1));
  BITSTAGE_ASSIGN_OR_RETURN(conv.weights, node.AddConstant(operands.weights->Clone(), ".weights"));
  BITSTAGE_ASSIGN_OR_RETURN(conv.bias, OptionalBias(node, 2));
  return node.EmitOutput(conv, {operands.input});
}

absl::Status TranslateConvTranspose(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const Operands operands, ConvOperands(node));
  const Shape& shape = operands.weights->shape();  // I x O/groups x KH x KW
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxWindow read, ReadOnnxWindow(node, {shape[2], shape[3]}));
  ConvTranspose conv;
  conv.window = read.window;
  BITSTAGE_ASSIGN_OR_RETURN(conv.groups, node.Int("group", 1));
  BITSTAGE_ASSIGN_OR_RETURN(conv.output_padding, ReadPair(node, "output_padding", {0, 0}, 0));
  const Shape input = node.ShapeOf(operands.input);
  BITSTAGE_RETURN_IF_ERROR(ResolveTransposedPadding(node, read.auto_pad, input, conv));
  if (conv.groups < 1 || input[0] % conv.groups != 0 || shape[0] != input[0]) {
    return node.Invalid(absl::StrCat(node.Describe(1), " has shape ", shape.ToString(), " and ", conv.groups,
                                     " groups, but the input has ", input[0], " channels"));
  }
  // groups x I/g x O/g x K to groups x O/g x I/g x K, which is O x I/g x K.
  const int64_t in = shape[0] / conv.groups;
  absl::StatusOr<Tensor> grouped =
      node.folder().Reshape(*operands.weights, {conv.groups, in, shape[1], shape[2] * shape[3]});
  if (grouped.ok()) grouped = node.folder().Transpose(*grouped, std::array{0, 2, 1, 3});
  if (!grouped.ok()) return node.Annotate(grouped.status());
  grouped->Reshape({conv.groups * shape[1], in, shape[2], shape[3]});
  BITSTAGE_ASSIGN_OR_RETURN(conv.weights, node.AddConstant(*std::move(grouped), ".weights"));
  BITSTAGE_ASSIGN_OR_RETURN(conv.bias, OptionalBias(node, 2));
  return node.EmitOutput(conv, {operands.input});
}

absl::Status TranslateGemm(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(2, 3));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.ActivationOfRank(0, 2));
  BITSTAGE_ASSIGN_OR_RETURN(const float alpha, node.Float("alpha", 1));
  BITSTAGE_ASSIGN_OR_RETURN(const float beta, node.Float("beta", 1));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t transpose_a, node.Int("transA", 0));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t transpose_b, node.Int("transB", 0));
  if (transpose_a != 0) return node.Unsupported("attribute 'transA' is set, which mixes the images of a batch");
  BITSTAGE_ASSIGN_OR_RETURN(Tensor weights, ConstantMatrix(node, 1, transpose_b == 0));
  if (alpha != 1) {
    for (float& weight : weights.Span<float>()) weight *= alpha;
  }
  FullyConnected op;
  BITSTAGE_ASSIGN_OR_RETURN(op.bias, GemmBias(node, beta, weights.shape()[0]));
  BITSTAGE_ASSIGN_OR_RETURN(op.weights, node.AddConstant(std::move(weights), ".weights"));
  return node.EmitOutput(op, {input});
}

absl::Status TranslateMatMul(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(2, 2));
  const bool weights_first = node.IsConstant(0);
  const size_t weights_input = weights_first ? 0 : 1;
  if (!node.IsConstant(weights_input))
    return node.Unsupported("multiplies two activations; one side must be a constant");
  BITSTAGE_ASSIGN_OR_RETURN(ValueId value, node.Activation(1 - weights_input));
  BITSTAGE_ASSIGN_OR_RETURN(Tensor weights, ConstantMatrix(node, weights_input, !weights_first));
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, node.FloatConstant(weights_input));
  const int rank = node.ShapeOf(value).rank();
  if (constant->shape().rank() > rank + 1) {
    return node.Unsupported(absl::StrCat(node.Describe(weights_input), " has more axes than the activation"));
  }
  // The product runs over the last axis but one: with a batch of vectors that is the batch.
  if (weights_first && rank < 2) return node.Unsupported("multiplies along the batch axis, which mixes images");
  FullyConnected op;
  BITSTAGE_ASSIGN_OR_RETURN(op.weights, node.AddConstant(std::move(weights), ".weights"));
  if (!weights_first) return node.EmitOutput(op, {value});
  BITSTAGE_ASSIGN_OR_RETURN(value, node.Emit(Transpose{SwapLastTwo(rank)}, {value}, "/columns"));
  BITSTAGE_ASSIGN_OR_RETURN(value, node.Emit(op, {value}, "/product"));
  return node.EmitOutput(Transpose{SwapLastTwo(rank)}, {value});
}

absl::Status TranslateBatchNormalization(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(5, 5));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(0));
  BITSTAGE_ASSIGN_OR_RETURN(const float epsilon, node.Float("epsilon", 1e-5f));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t training, node.Int("training_mode", 0));
  node.Ignore("momentum");
  if (training != 0) return node.Unsupported("attribute 'training_mode' is set");
  const Shape& shape = node.ShapeOf(input);
  const int64_t channels = shape.rank() == 0 ? 0 : shape[0];
  std::array<OnnxConstant, 4> parameters;  // scale, shift, mean, variance
  for (size_t i = 0; i < 4; ++i) {
    BITSTAGE_ASSIGN_OR_RETURN(parameters[i], node.FloatConstant(i + 1));
    if (parameters[i]->shape() != Shape{channels}) {
      return node.Invalid(absl::StrCat(node.Describe(i + 1), " has shape ", parameters[i]->shape().ToString(),
                                       ", expected ", channels));
    }
  }
  Tensor scale(DataType::kFloat32, {channels});
  Tensor shift(DataType::kFloat32, {channels});
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    const auto at = [&](size_t i) { return static_cast<double>(parameters[i]->Span<float>()[c]); };
    const double factor = at(0) / std::sqrt(at(3) + static_cast<double>(epsilon));
    if (!std::isfinite(factor)) {
      return node.Invalid(absl::StrCat("channel ", c, " has variance ", at(3), " and epsilon ", epsilon));
    }
    scale.Span<float>()[c] = static_cast<float>(factor);
    shift.Span<float>()[c] = static_cast<float>(at(1) - at(2) * factor);
  }
  ChannelAffine op;
  BITSTAGE_ASSIGN_OR_RETURN(op.scale, node.AddConstant(std::move(scale), ".scale"));
  BITSTAGE_ASSIGN_OR_RETURN(op.shift, node.AddConstant(std::move(shift), ".shift"));
  return node.EmitOutput(op, {input});
}

}  // namespace bitstage::onnx_ops
