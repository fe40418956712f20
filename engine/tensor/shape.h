// Shape: the extents of a tensor, outermost first.
//
// Two conventions hold throughout the engine:
//  * A graph describes ONE image. Shapes of graph values carry no batch dimension; the batch is implied as the
//    outermost dimension of every activation, and axis numbers count from the first per-image dimension
//    (axis 0 is the channel of a C x H x W value).
//  * A Tensor that holds several images has the batch as dimension 0 in front of the per-image shape.
//
// Value type; not thread-safe for writing.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/checked_math.h"

namespace bitstage {

// The highest rank that anything from outside may ask for.
inline constexpr int kMaxRank = 8;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  template <typename Iterator>
  Shape(Iterator begin, Iterator end) : dims_(begin, end) {}

  [[nodiscard]] int rank() const { return static_cast<int>(dims_.size()); }
  [[nodiscard]] int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis)]; }
  [[nodiscard]] int64_t& operator[](int axis) { return dims_[static_cast<size_t>(axis)]; }
  void Append(int64_t extent) { dims_.push_back(extent); }

  // Number of elements; 1 for rank 0. nullopt when an extent is negative or the product does not fit in int64.
  [[nodiscard]] std::optional<int64_t> CheckedElements() const { return CheckedProduct(dims_); }
  // The same for a shape that was validated before.
  [[nodiscard]] int64_t elements() const {
    int64_t n = 1;
    for (const int64_t extent : dims_) n *= extent;
    return n;
  }
  // The product of the extents after `axis`.
  [[nodiscard]] int64_t InnerElements(int axis) const {
    int64_t n = 1;
    for (int i = axis + 1; i < rank(); ++i) n *= (*this)[i];
    return n;
  }
  // This shape with `extent` put in front (a batch of per-image shapes).
  [[nodiscard]] Shape WithOuter(int64_t extent) const {
    Shape result{extent};
    result.dims_.insert(result.dims_.end(), dims_.begin(), dims_.end());
    return result;
  }

  [[nodiscard]] auto begin() const { return dims_.begin(); }
  [[nodiscard]] auto end() const { return dims_.end(); }
  friend bool operator==(const Shape& a, const Shape& b) { return a.dims_ == b.dims_; }

  // "3x224x224"; "scalar" for rank 0.
  [[nodiscard]] std::string ToString() const { return dims_.empty() ? "scalar" : absl::StrJoin(dims_, "x"); }

 private:
  absl::InlinedVector<int64_t, 4> dims_;
};

}  // namespace bitstage
