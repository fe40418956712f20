// Pools, and means over the whole image.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_operators.h"
#include "engine/format/onnx_window.h"

namespace bitstage::onnx_ops {
namespace {

absl::Status TranslatePool(OnnxTranslation& node, Pool pool) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.ActivationOfRank(0, 4));
  BITSTAGE_ASSIGN_OR_RETURN(OnnxWindow read, ReadOnnxWindow(node, {0, 0}));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t ceil_mode, node.Int("ceil_mode", 0));
  const Shape& shape = node.ShapeOf(input);
  pool.window = ResolveAutoPad(read, shape[1], shape[2]);
  // SAME_* states the output's extents, whatever the rounding.
  pool.window.ceil_mode =
      ceil_mode != 0 && read.auto_pad != OnnxAutoPad::kSameUpper && read.auto_pad != OnnxAutoPad::kSameLower;
  return node.EmitOutput(pool, {input});
}

}  // namespace

absl::Status TranslateMaxPool(OnnxTranslation& node) {
  // The order of the indices, which are a second output that we do not make.
  node.Ignore("storage_order");
  return TranslatePool(node, Pool{PoolKind::kMax, {}, false});
}

absl::Status TranslateAveragePool(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t count_include_pad, node.Int("count_include_pad", 0));
  return TranslatePool(node, Pool{PoolKind::kAverage, {}, count_include_pad != 0});
}

absl::Status TranslateGlobalAveragePool(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 1));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.ActivationOfRank(0, 4));
  return node.EmitOutput(GlobalAveragePool{true}, {input});
}

absl::Status TranslateReduceMean(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 2));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.ActivationOfRank(0, 4));
  BITSTAGE_ASSIGN_OR_RETURN(auto axes, node.IntsOrInput("axes", 1, 18));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t keep_dims, node.Int("keepdims", 1));
  if (node.opset() >= 18) node.Ignore("noop_with_empty_axes");
  if (axes) {
    for (int64_t& axis : *axes) axis = axis < 0 ? axis + 4 : axis;
    std::sort(axes->begin(), axes->end());
  }
  if (axes != std::vector<int64_t>{2, 3}) return node.Unsupported("reduces other axes than height and width (2, 3)");
  return node.EmitOutput(GlobalAveragePool{keep_dims != 0}, {input});
}

}  // namespace bitstage::onnx_ops
