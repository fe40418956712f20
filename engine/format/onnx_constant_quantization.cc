// QuantizeLinear and DequantizeLinear of constants.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_constant_folding.h"

namespace bitstage {
namespace {

// How an element finds its scale: element i uses entry (i / inner) % count.
struct ScaleLayout {
  int64_t inner = 1;
  int64_t count = 1;
};

absl::StatusOr<ScaleLayout> LayoutOf(const Tensor& in, const Tensor& scale, const Tensor* zero_point, int axis) {
  if (scale.type() != DataType::kFloat32) return absl::InvalidArgumentError("the scale is not a float");
  if (zero_point != nullptr && zero_point->shape().elements() != scale.shape().elements()) {
    return absl::InvalidArgumentError(absl::StrCat("zero point ", zero_point->shape().ToString(), " and scale ",
                                                   scale.shape().ToString(), " differ in size"));
  }
  const int64_t count = scale.shape().elements();
  if (scale.shape().rank() == 0 || (scale.shape().rank() == 1 && count == 1)) return ScaleLayout{};
  if (scale.shape().rank() != 1) {
    return absl::UnimplementedError(absl::StrCat("blocked quantization (scale ", scale.shape().ToString(), ")"));
  }
  if (axis < 0 || axis >= in.shape().rank() || in.shape()[axis] != count) {
    return absl::InvalidArgumentError(
        absl::StrCat(count, " scales along axis ", axis, " of a tensor ", in.shape().ToString()));
  }
  return ScaleLayout{in.shape().InnerElements(axis), count};
}

}  // namespace

absl::StatusOr<Tensor> OnnxFolder::Dequantize(const Tensor& in, const Tensor& scale, const Tensor* zero_point,
                                              int axis) {
  if (in.type() != DataType::kInt8 && in.type() != DataType::kUInt8 && in.type() != DataType::kInt32) {
    return absl::InvalidArgumentError(
        absl::StrCat("codes of type ", Name(in.type()), ", expected INT8, UINT8 or INT32"));
  }
  if (zero_point != nullptr && zero_point->type() != in.type()) {
    return absl::InvalidArgumentError(
        absl::StrCat("codes of type ", Name(in.type()), " with a zero point of type ", Name(zero_point->type())));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const ScaleLayout layout, LayoutOf(in, scale, zero_point, axis));
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<int64_t> codes, IntegersOf(in));
  std::vector<int64_t> zero(static_cast<size_t>(layout.count), 0);
  if (zero_point != nullptr) {
    BITSTAGE_ASSIGN_OR_RETURN(zero, IntegersOf(*zero_point));
  }
  BITSTAGE_ASSIGN_OR_RETURN(Tensor out, NewTensor(DataType::kFloat32, in.shape()));
  const std::span<float> values = out.Span<float>();
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t entry = i / static_cast<size_t>(layout.inner) % static_cast<size_t>(layout.count);
    values[i] = static_cast<float>(codes[i] - zero[entry]) * scale.Span<float>()[entry];
  }
  return out;
}

absl::StatusOr<Tensor> OnnxFolder::Quantize(const Tensor& in, const Tensor& scale, const Tensor* zero_point, int axis) {
  if (in.type() != DataType::kFloat32) return absl::InvalidArgumentError("expected floats to quantize");
  BITSTAGE_ASSIGN_OR_RETURN(const ScaleLayout layout, LayoutOf(in, scale, zero_point, axis));
  const DataType type = zero_point == nullptr ? DataType::kUInt8 : zero_point->type();
  if (type != DataType::kUInt8 && type != DataType::kInt8) {
    return absl::UnimplementedError(absl::StrCat("quantization to ", Name(type), " (only to UINT8 and INT8)"));
  }
  std::vector<int64_t> zero(static_cast<size_t>(layout.count), 0);
  if (zero_point != nullptr) {
    BITSTAGE_ASSIGN_OR_RETURN(zero, IntegersOf(*zero_point));
  }
  BITSTAGE_ASSIGN_OR_RETURN(Tensor out, NewTensor(type, in.shape()));
  const float low = type == DataType::kUInt8 ? 0.0f : -128.0f;
  for (size_t i = 0; i < out.bytes(); ++i) {
    const size_t entry = i / static_cast<size_t>(layout.inner) % static_cast<size_t>(layout.count);
    const float code = std::rint(in.Span<float>()[i] / scale.Span<float>()[entry]) + static_cast<float>(zero[entry]);
    const float bounded = std::isnan(code) ? static_cast<float>(zero[entry]) : std::clamp(code, low, low + 255.0f);
    if (type == DataType::kUInt8) {
      out.Span<uint8_t>()[i] = static_cast<uint8_t>(bounded);
    } else {
      out.Span<int8_t>()[i] = static_cast<int8_t>(bounded);
    }
  }
  return out;
}

}  // namespace bitstage
