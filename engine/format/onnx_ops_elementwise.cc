// Activation functions, arithmetic with broadcasting, softmax and argmax.
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_operators.h"

namespace bitstage::onnx_ops {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

absl::Status TranslateUnary(OnnxTranslation& node, Unary unary) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(0));
  return node.EmitOutput(unary, {input});
}

absl::StatusOr<float> ClipBound(OnnxTranslation& node, absl::string_view attribute, size_t input, float otherwise) {
  if (node.opset() < 11) return node.Float(attribute, otherwise);
  if (!node.Has(input)) return otherwise;
  return node.FloatScalar(input);
}

// The constant in per-image terms: its batch axis, which must have one entry, dropped.
absl::StatusOr<Tensor> PerImageConstant(OnnxTranslation& node, size_t input, int rank) {
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, node.FloatConstant(input));
  Tensor values = constant->Clone();
  const Shape& shape = constant->shape();
  if (shape.rank() <= rank) return values;
  if (shape.rank() > rank + 1 || shape[0] != 1) {
    return node.Unsupported(absl::StrCat(node.Describe(input), " has shape ", shape.ToString(),
                                         ", which differs between images or adds axes"));
  }
  values.Reshape(Shape(shape.begin() + 1, shape.end()));
  return values;
}

absl::Status TranslateArithmetic(OnnxTranslation& node, OnnxFolder::Arithmetic arithmetic) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(2, 2));
  if (node.AllConstant()) {
    BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant a, node.Constant(0));
    BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant b, node.Constant(1));
    return node.BindConstant(0, node.folder().Combine(arithmetic, *a, *b));
  }
  const bool division = arithmetic == OnnxFolder::Arithmetic::kDiv;
  BinaryKind kind = BinaryKind::kMul;
  if (arithmetic == OnnxFolder::Arithmetic::kAdd) kind = BinaryKind::kAdd;
  if (arithmetic == OnnxFolder::Arithmetic::kSub) kind = BinaryKind::kSub;
  const bool constant_first = node.IsConstant(0);
  if (division && !node.IsConstant(1)) return node.Unsupported("divides by an activation");
  if (!constant_first && !node.IsConstant(1)) {
    BITSTAGE_ASSIGN_OR_RETURN(const ValueId a, node.Activation(0));
    BITSTAGE_ASSIGN_OR_RETURN(const ValueId b, node.Activation(1));
    if (node.ShapeOf(a).rank() != node.ShapeOf(b).rank()) {
      return node.Unsupported(absl::StrCat("activations of shapes ", node.ShapeOf(a).WithOuter(node.batch()).ToString(),
                                           " and ", node.ShapeOf(b).WithOuter(node.batch()).ToString(),
                                           " align the batch with another axis"));
    }
    return node.EmitOutput(Binary{kind, std::nullopt}, {a, b});
  }
  const size_t constant_input = constant_first ? 0 : 1;
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(1 - constant_input));
  BITSTAGE_ASSIGN_OR_RETURN(Tensor constant, PerImageConstant(node, constant_input, node.ShapeOf(input).rank()));
  if (division) {
    for (float& value : constant.Span<float>()) value = 1.0f / value;
  }
  BinaryConstant op;
  op.kind = kind;
  BITSTAGE_ASSIGN_OR_RETURN(op.constant, node.AddConstant(std::move(constant), ".constant"));
  op.constant_first = constant_first && kind == BinaryKind::kSub;
  return node.EmitOutput(op, {input});
}

// An axis of an activation in per-image terms.
absl::StatusOr<int> PerImageAxis(OnnxTranslation& node, int64_t axis, int rank) {
  const absl::StatusOr<int> full = NormalizeAxis(axis, rank + 1);
  if (!full.ok()) return node.Annotate(full.status());
  if (*full == 0) return node.Unsupported("attribute 'axis' is the batch axis, which mixes images");
  return *full - 1;
}

}  // namespace

absl::Status TranslateRelu(OnnxTranslation& node) { return TranslateUnary(node, {UnaryKind::kClamp, 0, kInfinity}); }

absl::Status TranslateClip(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 3));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(0));
  BITSTAGE_ASSIGN_OR_RETURN(const float low, ClipBound(node, "min", 1, -kInfinity));
  BITSTAGE_ASSIGN_OR_RETURN(const float high, ClipBound(node, "max", 2, kInfinity));
  return node.EmitOutput(Unary{UnaryKind::kClamp, low, high}, {input});
}

absl::Status TranslateLeakyRelu(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const float alpha, node.Float("alpha", 0.01f));
  return TranslateUnary(node, {UnaryKind::kLeakyRelu, alpha, 0});
}

absl::Status TranslateHardSigmoid(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const float alpha, node.Float("alpha", 0.2f));
  BITSTAGE_ASSIGN_OR_RETURN(const float beta, node.Float("beta", 0.5f));
  return TranslateUnary(node, {UnaryKind::kHardSigmoid, alpha, beta});
}

absl::Status TranslateSigmoid(OnnxTranslation& node) { return TranslateUnary(node, {UnaryKind::kSigmoid, 0, 0}); }
absl::Status TranslateHardSwish(OnnxTranslation& node) { return TranslateUnary(node, {UnaryKind::kHardSwish, 0, 0}); }
absl::Status TranslateTanh(OnnxTranslation& node) { return TranslateUnary(node, {UnaryKind::kTanh, 0, 0}); }

absl::Status TranslateAdd(OnnxTranslation& node) { return TranslateArithmetic(node, OnnxFolder::Arithmetic::kAdd); }
absl::Status TranslateSub(OnnxTranslation& node) { return TranslateArithmetic(node, OnnxFolder::Arithmetic::kSub); }
absl::Status TranslateMul(OnnxTranslation& node) { return TranslateArithmetic(node, OnnxFolder::Arithmetic::kMul); }
absl::Status TranslateDiv(OnnxTranslation& node) { return TranslateArithmetic(node, OnnxFolder::Arithmetic::kDiv); }

absl::Status TranslateSoftmax(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(0));
  const Shape& shape = node.ShapeOf(input);
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t attribute, node.Int("axis", node.opset() < 13 ? 1 : -1));
  BITSTAGE_ASSIGN_OR_RETURN(int axis, PerImageAxis(node, attribute, shape.rank()));
  if (node.opset() < 13) {
    // There, all axes from `axis` on count as one: the same thing where at most one of them has several entries.
    int wide = 0;
    for (int i = axis, first = axis; i < shape.rank(); ++i) {
      if (shape[i] == 1) continue;
      if (++wide > 1) {
        return node.Unsupported(absl::StrCat("normalizes over all axes from ", first + 1, " on, of ",
                                             shape.WithOuter(node.batch()).ToString()));
      }
      axis = i;
    }
  }
  return node.EmitOutput(Softmax{axis}, {input});
}

absl::Status TranslateArgMax(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(0));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t attribute, node.Int("axis", 0));
  BITSTAGE_ASSIGN_OR_RETURN(const int axis, PerImageAxis(node, attribute, node.ShapeOf(input).rank()));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t keep_dims, node.Int("keepdims", 1));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t select_last, node.Int("select_last_index", 0));
  return node.EmitOutput(ArgMax{axis, keep_dims != 0, select_last != 0}, {input});
}

}  // namespace bitstage::onnx_ops
