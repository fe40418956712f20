// Walks all elements of a shape in row-major order, carrying the offsets of N arrays that lie in other strides.
#pragma once

#include <array>
#include <cstdint>

#include "engine/tensor/shape.h"

namespace bitstage {

using Strides = std::array<int64_t, kMaxRank>;  // in elements, one an axis

// Of a dense array.
inline Strides DenseStrides(const Shape& shape) {
  Strides strides = {};
  for (int axis = 0; axis < shape.rank(); ++axis) strides[static_cast<size_t>(axis)] = shape.InnerElements(axis);
  return strides;
}

// Of an array of `shape` read as if broadcast to `output` (numpy's rule): 0 where it repeats.
inline Strides BroadcastStrides(const Shape& shape, const Shape& output) {
  Strides strides = {};
  const int offset = output.rank() - shape.rank();
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] != 1) strides[static_cast<size_t>(axis + offset)] = shape.InnerElements(axis);
  }
  return strides;
}

// body(i, offsets): i counts elements from 0.
template <size_t N, typename Body>
void StridedWalk(const Shape& shape, const std::array<Strides, N>& strides, std::array<int64_t, N> offsets, Body body) {
  std::array<int64_t, kMaxRank> index = {};
  const int64_t elements = shape.elements();
  for (int64_t i = 0; i < elements; ++i) {
    body(i, offsets);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const auto a = static_cast<size_t>(axis);
      ++index[a];
      for (size_t n = 0; n < N; ++n) offsets[n] += strides[n][a];
      if (index[a] < shape[axis]) break;
      for (size_t n = 0; n < N; ++n) offsets[n] -= strides[n][a] * index[a];
      index[a] = 0;
    }
  }
}

}  // namespace bitstage
