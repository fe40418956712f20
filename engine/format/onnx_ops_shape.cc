// What changes the shape but not the elements: works on constants (any axis) and activations (all axes but the batch).
#include <algorithm>
#include <numeric>
#include <set>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_operators.h"

namespace bitstage::onnx_ops {
namespace {

// Binds input 0 under a new full shape. An activation must keep the batch in front.
absl::Status BindReshaped(OnnxTranslation& node, const Shape& shape) {
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxValue* found, node.Input(0));
  const OnnxValue value = *found;
  if (value.constant != nullptr) return node.BindConstant(0, node.folder().Reshape(*value.constant, shape));
  if (value.codes)
    return node.Unsupported(absl::StrCat(node.Describe(0), " is quantized, expected a DequantizeLinear first"));
  if (shape.rank() == 0 || shape[0] != node.batch()) {
    return node.Unsupported(absl::StrCat("turns ", node.FullShape(value).ToString(), " into ", shape.ToString(),
                                         "; the first axis must stay the batch of ", node.batch()));
  }
  return node.EmitOutput(Reshape{Shape(shape.begin() + 1, shape.end())}, {value.activation});
}

absl::StatusOr<Shape> FullShapeOfInput(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxValue* value, node.Input(0));
  return node.FullShape(*value);
}

// `axes` counted from the front of a tensor of `rank`, each once.
absl::StatusOr<std::set<int>> AxisSet(OnnxTranslation& node, const std::vector<int64_t>& axes, int rank) {
  std::set<int> result;
  for (const int64_t axis : axes) {
    const absl::StatusOr<int> normalized = NormalizeAxis(axis, rank);
    if (!normalized.ok()) return node.Annotate(normalized.status());
    if (!result.insert(*normalized).second) return node.Invalid(absl::StrCat("axes name axis ", *normalized, " twice"));
  }
  // A batch of one could pass for an axis like any other here; a batch of more could not.
  if (!node.IsConstant(0) && result.contains(0)) return node.Unsupported("axes name axis 0, which is the batch");
  return result;
}

}  // namespace

absl::Status TranslateReshape(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(2, 2));
  BITSTAGE_ASSIGN_OR_RETURN(const Shape in, FullShapeOfInput(node));
  BITSTAGE_ASSIGN_OR_RETURN(const auto target, node.Integers(1));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t allow_zero, node.Int("allowzero", 0));
  if (!target || target->size() > static_cast<size_t>(kMaxRank)) {
    return node.Invalid(absl::StrCat(node.Describe(1), ": expected at most ", kMaxRank, " extents"));
  }
  Shape shape;
  int free_axis = -1;
  for (const int64_t extent : *target) {
    const int axis = shape.rank();
    const bool copied = extent == 0 && allow_zero == 0;
    if (extent < -1 || (copied && axis >= in.rank()) || (extent == -1 && free_axis >= 0)) {
      return node.Invalid(
          absl::StrCat(node.Describe(1), ": entry ", axis, " is ", extent, " for an input ", in.ToString()));
    }
    if (extent == -1) free_axis = axis;
    shape.Append(extent == -1 ? 1 : copied ? in[axis] : extent);
  }
  if (absl::Status status = CheckOnnxShape(shape); !status.ok()) return node.Annotate(status);
  const int64_t rest = shape.elements();
  if (free_axis >= 0 && rest > 0) shape[free_axis] = in.elements() / rest;
  if (shape.elements() != in.elements()) {
    return node.Invalid(absl::StrCat("cannot turn ", in.ToString(), " into ", shape.ToString()));
  }
  return BindReshaped(node, shape);
}

absl::Status TranslateFlatten(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const Shape in, FullShapeOfInput(node));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t attribute, node.Int("axis", 1));
  if (attribute < -in.rank() || attribute > in.rank()) {
    return node.Invalid(absl::StrCat("attribute 'axis' is ", attribute, " for an input ", in.ToString()));
  }
  const auto axis = static_cast<int>(attribute < 0 ? attribute + in.rank() : attribute);
  if (axis == 0 && !node.IsConstant(0)) return node.Unsupported("attribute 'axis' is 0, which mixes images");
  const Shape outer(in.begin(), in.begin() + axis);
  const Shape inner(in.begin() + axis, in.end());
  return BindReshaped(node, {outer.elements(), inner.elements()});
}

absl::Status TranslateSqueeze(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 2));
  BITSTAGE_ASSIGN_OR_RETURN(const Shape in, FullShapeOfInput(node));
  BITSTAGE_ASSIGN_OR_RETURN(const auto axes, node.IntsOrInput("axes", 1, 13));
  std::set<int> removed;
  if (axes) {
    BITSTAGE_ASSIGN_OR_RETURN(removed, AxisSet(node, *axes, in.rank()));
  } else {
    // The batch stays, as it would in a batch of several images.
    for (int axis = node.IsConstant(0) ? 0 : 1; axis < in.rank(); ++axis) {
      if (in[axis] == 1) removed.insert(axis);
    }
  }
  Shape shape;
  for (int axis = 0; axis < in.rank(); ++axis) {
    if (!removed.contains(axis)) {
      shape.Append(in[axis]);
    } else if (in[axis] != 1) {
      return node.Invalid(absl::StrCat("axis ", axis, " of ", in.ToString(), " has more than one entry"));
    }
  }
  return BindReshaped(node, shape);
}

absl::Status TranslateUnsqueeze(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 2));
  BITSTAGE_ASSIGN_OR_RETURN(const Shape in, FullShapeOfInput(node));
  BITSTAGE_ASSIGN_OR_RETURN(const auto axes, node.IntsOrInput("axes", 1, 13));
  if (!axes) return node.Invalid("axes are missing");
  if (axes->size() > static_cast<size_t>(kMaxRank)) return node.Invalid(absl::StrCat(axes->size(), " axes"));
  const int rank = in.rank() + static_cast<int>(axes->size());
  BITSTAGE_ASSIGN_OR_RETURN(const std::set<int> added, AxisSet(node, *axes, rank));
  Shape shape;
  for (int axis = 0, next = 0; axis < rank; ++axis) shape.Append(added.contains(axis) ? 1 : in[next++]);
  return BindReshaped(node, shape);
}

absl::Status TranslateTranspose(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const Shape in, FullShapeOfInput(node));
  BITSTAGE_ASSIGN_OR_RETURN(const auto attribute, node.Ints("perm"));
  std::vector<int> permutation(static_cast<size_t>(in.rank()));
  std::iota(permutation.rbegin(), permutation.rend(), 0);
  if (attribute) {
    std::vector<int64_t> sorted = *attribute;
    std::sort(sorted.begin(), sorted.end());
    std::vector<int64_t> expected(permutation.rbegin(), permutation.rend());
    if (sorted != expected)
      return node.Invalid(absl::StrCat("attribute 'perm' is no permutation of ", in.rank(), " axes"));
    permutation.assign(attribute->begin(), attribute->end());
  }
  if (node.IsConstant(0)) {
    BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, node.Constant(0));
    return node.BindConstant(0, node.folder().Transpose(*constant, permutation));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(0));
  if (permutation[0] != 0) return node.Unsupported("attribute 'perm' moves the batch axis, which mixes images");
  permutation.erase(permutation.begin());
  for (int& axis : permutation) --axis;
  return node.EmitOutput(Transpose{permutation}, {input});
}

absl::Status TranslateIdentity(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxValue* value, node.Input(0));
  return node.Bind(0, OnnxValue(*value));
}

absl::Status TranslateDropout(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 3));
  node.Ignore("ratio");
  node.Ignore("seed");
  BITSTAGE_ASSIGN_OR_RETURN(const auto training, node.Integers(2));
  if (training && *training != std::vector<int64_t>{0}) return node.Unsupported("input 2 (training_mode) is set");
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxValue* value, node.Input(0));
  return node.Bind(0, OnnxValue(*value));
}

}  // namespace bitstage::onnx_ops
