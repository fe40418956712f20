// OnnxFolder: computes what depends on constants alone, as exporters spell out shape arithmetic and weight layouts.
//
// Shapes are those of ONNX, with every axis. All memory comes out of one budget, so a small file cannot ask for a large
// amount of work. Errors say what is wrong, not where: the caller knows the node.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// More elements than any tensor of an image network has; keeps every product of extents far from overflow.
inline constexpr int64_t kMaxOnnxElements = int64_t{1} << 31;

// INVALID_ARGUMENT for a rank above kMaxRank, negative extents, or more than kMaxOnnxElements (zero extents count as
// one).
absl::Status CheckOnnxShape(const Shape& shape);

// As numpy: right-aligned, extents equal or one.
absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b);

// The axis counted from the front; INVALID_ARGUMENT outside [-rank, rank).
absl::StatusOr<int> NormalizeAxis(int64_t axis, int rank);

class OnnxFolder {
 public:
  enum class Arithmetic { kAdd, kSub, kMul, kDiv };

  explicit OnnxFolder(int64_t budget_bytes) : budget_bytes_(budget_bytes) {}

  // Takes what such a tensor needs from the budget; INVALID_ARGUMENT where too little is left, or by CheckOnnxShape.
  absl::Status Charge(DataType type, const Shape& shape);

  // Zero-filled, charged.
  absl::StatusOr<Tensor> NewTensor(DataType type, const Shape& shape);

  // out[i0, i1, …] = in[offset + Σ i_k · stride_k], strides in elements. Every index must lie inside `in`.
  absl::StatusOr<Tensor> CopyStrided(const Tensor& in, const Shape& shape, int64_t offset,
                                     std::span<const int64_t> strides);

  absl::StatusOr<Tensor> Reshape(const Tensor& in, const Shape& shape);
  absl::StatusOr<Tensor> Transpose(const Tensor& in, std::span<const int> permutation);
  absl::StatusOr<Tensor> Expand(const Tensor& in, const Shape& shape);
  // begin, step and extent of every axis; steps may be negative.
  absl::StatusOr<Tensor> Slice(const Tensor& in, std::span<const int64_t> begin, std::span<const int64_t> step,
                               const Shape& extent);
  absl::StatusOr<Tensor> Gather(const Tensor& in, const Tensor& indices, int axis);
  absl::StatusOr<Tensor> Concat(std::span<const Tensor* const> parts, int axis);
  absl::StatusOr<Tensor> Cast(const Tensor& in, DataType type);
  // Of two float, int64 or int32 tensors; integer overflow and division by zero are refused.
  absl::StatusOr<Tensor> Combine(Arithmetic op, const Tensor& a, const Tensor& b);
  // x -> (x − zero_point) · scale, parameters given once or along `axis`.
  absl::StatusOr<Tensor> Dequantize(const Tensor& in, const Tensor& scale, const Tensor* zero_point, int axis);
  absl::StatusOr<Tensor> Quantize(const Tensor& in, const Tensor& scale, const Tensor* zero_point, int axis);

 private:
  int64_t budget_bytes_;
};

// The elements of an integer or bool tensor; INVALID_ARGUMENT for floats.
absl::StatusOr<std::vector<int64_t>> IntegersOf(const Tensor& tensor);

// Row-major strides in elements.
std::vector<int64_t> StridesOf(const Shape& shape);

}  // namespace bitstage
