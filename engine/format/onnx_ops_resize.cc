// Resize (opset 10 and later) and its predecessor Upsample (opset 9).
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_operators.h"

namespace bitstage::onnx_ops {
namespace {

// What scales or sizes make of height and width.
struct Target {
  std::array<int64_t, 2> extent = {0, 0};
  std::array<float, 2> scale = {1, 1};
};

// Floats of a constant input; nullopt where it is left out or empty (which is how exporters leave it out).
absl::StatusOr<std::optional<std::vector<float>>> Scales(OnnxTranslation& node, size_t input) {
  if (!node.Has(input)) return std::nullopt;
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, node.FloatConstant(input));
  const std::span<const float> values = constant->Span<float>();
  if (values.empty()) return std::nullopt;
  return std::vector<float>(values.begin(), values.end());
}

// The axes that scales or sizes speak of, in their order.
absl::StatusOr<std::vector<int>> Axes(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const auto attribute, node.Ints("axes"));
  if (!attribute) return std::vector<int>{0, 1, 2, 3};
  std::vector<int> axes;
  for (const int64_t entry : *attribute) {
    const absl::StatusOr<int> axis = NormalizeAxis(entry, 4);
    if (!axis.ok()) return node.Annotate(axis.status());
    axes.push_back(*axis);
  }
  return axes;
}

absl::StatusOr<Target> ReadTarget(OnnxTranslation& node, const Shape& in, const std::vector<int>& axes) {
  const size_t scales_input = node.opset() < 11 ? 1 : 2;
  BITSTAGE_ASSIGN_OR_RETURN(const auto scales, Scales(node, scales_input));
  std::optional<std::vector<int64_t>> sizes;
  if (node.opset() >= 11) {
    BITSTAGE_ASSIGN_OR_RETURN(sizes, node.Integers(3));
    if (sizes && sizes->empty()) sizes.reset();
  }
  if (scales.has_value() == sizes.has_value()) return node.Invalid("needs either scales or sizes");
  if ((scales ? scales->size() : sizes->size()) != axes.size()) {
    return node.Invalid(absl::StrCat("scales or sizes have ", scales ? scales->size() : sizes->size(),
                                     " entries, expected ", axes.size()));
  }
  Target target{{in[2], in[3]}, {1, 1}};
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto extent = static_cast<float>(in[axes[i]]);
    const float scale = scales ? (*scales)[i] : static_cast<float>((*sizes)[i]) / extent;
    const float out = scales ? std::floor(extent * scale) : static_cast<float>((*sizes)[i]);
    if (!(scale > 0) || !(out >= 1) || out > static_cast<float>(kMaxOnnxElements)) {
      return node.Invalid(absl::StrCat("resizes axis ", axes[i], " from ", extent, " to ", out));
    }
    if (axes[i] < 2) {
      if (scale != 1) return node.Unsupported(absl::StrCat("resizes axis ", axes[i], "; only height and width can be"));
      continue;
    }
    const auto k = static_cast<size_t>(axes[i] - 2);
    target.extent[k] = scales ? static_cast<int64_t>(out) : (*sizes)[i];
    target.scale[k] = scale;
  }
  return target;
}

absl::Status ReadCoordinates(OnnxTranslation& node, Resize& resize) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::string mode, node.String("coordinate_transformation_mode", "half_pixel"));
  if (mode == "half_pixel") {
    resize.coordinates = ResizeCoordinates::kHalfPixel;
  } else if (mode == "pytorch_half_pixel") {
    resize.coordinates = ResizeCoordinates::kPytorchHalfPixel;
  } else if (mode == "align_corners") {
    resize.coordinates = ResizeCoordinates::kAlignCorners;
  } else if (mode == "asymmetric") {
    resize.coordinates = ResizeCoordinates::kAsymmetric;
  } else {
    return node.Unsupported(
        "attribute 'coordinate_transformation_mode' is none of half_pixel, pytorch_half_pixel, "
        "align_corners, asymmetric");
  }
  return absl::OkStatus();
}

absl::Status ReadRounding(OnnxTranslation& node, Resize& resize) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::string mode, node.String("nearest_mode", "round_prefer_floor"));
  if (mode == "round_prefer_floor") {
    resize.rounding = ResizeRounding::kRoundPreferFloor;
  } else if (mode == "round_prefer_ceil") {
    resize.rounding = ResizeRounding::kRoundPreferCeil;
  } else if (mode == "floor") {
    resize.rounding = ResizeRounding::kFloor;
  } else if (mode == "ceil") {
    resize.rounding = ResizeRounding::kCeil;
  } else {
    return node.Unsupported("attribute 'nearest_mode' is none of round_prefer_floor, round_prefer_ceil, floor, ceil");
  }
  return absl::OkStatus();
}

// Attributes that do not apply to nearest and linear without antialiasing, or that must have one value.
absl::Status CheckTheRest(OnnxTranslation& node) {
  node.Ignore("cubic_coeff_a");
  node.Ignore("extrapolation_value");  // of tf_crop_and_resize
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t exclude_outside, node.Int("exclude_outside", 0));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t antialias, node.Int("antialias", 0));
  BITSTAGE_ASSIGN_OR_RETURN(const std::string policy, node.String("keep_aspect_ratio_policy", "stretch"));
  if (exclude_outside != 0) return node.Unsupported("attribute 'exclude_outside' is set");
  if (antialias != 0) return node.Unsupported("attribute 'antialias' is set");
  if (policy != "stretch") return node.Unsupported("attribute 'keep_aspect_ratio_policy' is not 'stretch'");
  return absl::OkStatus();
}

}  // namespace

absl::Status TranslateResize(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(2, 4));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.ActivationOfRank(0, 4));
  const Shape in = node.ShapeOf(input).WithOuter(node.batch());
  Resize resize;
  BITSTAGE_ASSIGN_OR_RETURN(const std::string mode, node.String("mode", "nearest"));
  if (mode != "nearest" && mode != "linear") return node.Unsupported("attribute 'mode' is neither nearest nor linear");
  resize.mode = mode == "nearest" ? ResizeMode::kNearest : ResizeMode::kLinear;
  std::vector<int> axes{0, 1, 2, 3};
  if (node.opset() < 11) {
    resize.coordinates = ResizeCoordinates::kAsymmetric;
    resize.rounding = ResizeRounding::kFloor;
  } else {
    BITSTAGE_RETURN_IF_ERROR(ReadCoordinates(node, resize));
    BITSTAGE_RETURN_IF_ERROR(ReadRounding(node, resize));
    BITSTAGE_RETURN_IF_ERROR(CheckTheRest(node));
    BITSTAGE_ASSIGN_OR_RETURN(axes, Axes(node));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const Target target, ReadTarget(node, in, axes));
  if (node.opset() < 11 && resize.mode == ResizeMode::kNearest && (target.scale[0] < 1 || target.scale[1] < 1)) {
    return node.Unsupported("shrinks with mode nearest, whose rounding is not defined before opset 11");
  }
  resize.height = target.extent[0];
  resize.width = target.extent[1];
  resize.scale_height = target.scale[0];
  resize.scale_width = target.scale[1];
  return node.EmitOutput(resize, {input});
}

}  // namespace bitstage::onnx_ops
