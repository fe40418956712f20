#include <cstring>

#include "engine/reference/float_kernels.h"
#include "engine/reference/strided_walk.h"

namespace bitstage::float_kernels {

void ConcatAlong(int axis, const Graph& graph, const Node& node, std::span<const void* const> inputs, float* y) {
  const Shape& first = graph.value(node.inputs[0]).shape;
  const int64_t outer = first.elements() / (first[axis] * first.InnerElements(axis));
  for (int64_t o = 0; o < outer; ++o) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const int64_t run = graph.value(node.inputs[i]).shape.elements() / outer;
      std::memcpy(y, static_cast<const float*>(inputs[i]) + o * run, static_cast<size_t>(run) * sizeof(float));
      y += run;
    }
  }
}

void Permute(const Transpose& op, Operand x, const Shape& output, float* y) {
  const Strides dense = DenseStrides(x.shape);
  Strides strides = {};
  for (size_t axis = 0; axis < op.permutation.size(); ++axis) {
    strides[axis] = dense[static_cast<size_t>(op.permutation[axis])];
  }
  StridedWalk<1>(output, {strides}, {0}, [&](int64_t i, const std::array<int64_t, 1>& at) { y[i] = x.data[at[0]]; });
}

void PadWith(const Pad& op, Operand x, const Shape& output, float* y) {
  std::fill_n(y, output.elements(), op.value);
  const Strides strides = DenseStrides(output);
  int64_t origin = 0;
  for (size_t axis = 0; axis < op.before.size(); ++axis) origin += op.before[axis] * strides[axis];
  StridedWalk<1>(x.shape, {strides}, {origin},
                 [&](int64_t i, const std::array<int64_t, 1>& at) { y[at[0]] = x.data[i]; });
}

void TakeSlice(const Slice& op, Operand x, const Shape& output, float* y) {
  Strides strides = DenseStrides(x.shape);
  int64_t origin = 0;
  for (size_t axis = 0; axis < op.begin.size(); ++axis) {
    origin += op.begin[axis] * strides[axis];
    strides[axis] *= op.step[axis];
  }
  StridedWalk<1>(output, {strides}, {origin},
                 [&](int64_t i, const std::array<int64_t, 1>& at) { y[i] = x.data[at[0]]; });
}

}  // namespace bitstage::float_kernels
