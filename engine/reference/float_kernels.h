// One function an operator, for float_ops.cc only; see float_ops.h. Inputs come with their per-image shapes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "engine/graph/graph.h"

namespace bitstage::float_kernels {

// An array with its shape: one image of a value, or a constant.
struct Operand {
  const Shape& shape;
  const float* data;
};

inline float ClampTo(const std::optional<Clamp>& clamp, float x) {
  return clamp ? std::min(std::max(x, clamp->low), clamp->high) : x;
}

// Rows [begin, end) of an operator's work (float_ops.h).
struct RowRange {
  int64_t begin, end;
};

// float_elementwise.cc
int64_t UnaryRows(const Shape& shape);
void ApplyUnaryTo(const Unary& op, Operand x, float* y, RowRange rows);
int64_t ColumnRows(const Shape& shape, int axis);  // of Softmax and ArgMax
void Affine(Operand x, Operand scale, Operand shift, float* y);
void Combine(BinaryKind kind, const std::optional<Clamp>& clamp, const Shape& output, Operand a, Operand b, float* y);
void SoftmaxAlong(int axis, Operand x, float* y, RowRange rows);
void ArgMaxAlong(const ArgMax& op, Operand x, int64_t* y, RowRange rows);
void QuantizeDequantize(const FakeQuantize& op, Operand x, float* y);

// float_movement.cc
void ConcatAlong(int axis, const Graph& graph, const Node& node, std::span<const void* const> inputs, float* y);
void Permute(const Transpose& op, Operand x, const Shape& output, float* y);
void PadWith(const Pad& op, Operand x, const Shape& output, float* y);
void TakeSlice(const Slice& op, Operand x, const Shape& output, float* y);

// float_spatial.cc
void PoolWindows(const Pool& op, Operand x, const Shape& output, float* y);
void MeanOfMaps(Operand x, float* y);
void ResizeMaps(const Resize& op, Operand x, float* y, RowRange rows);  // a row of one map each

}  // namespace bitstage::float_kernels
