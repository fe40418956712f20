// Tensor owns a dense row-major array; TensorView borrows one.
//
//   Tensor x(DataType::kFloat32, {2, 3, 224, 224});   // zero-filled
//   std::span<float> values = x.Span<float>();
//
// Tensor is movable and cheap to move; Clone() copies. A view is valid as long as what it borrows from.
// Concurrent reads are fine; writes need the caller's own synchronisation.
#pragma once

#include <cassert>
#include <cstring>
#include <span>

#include "engine/base/aligned_buffer.h"
#include "engine/tensor/data_type.h"
#include "engine/tensor/shape.h"

namespace bitstage {

struct TensorView {
  DataType type = DataType::kFloat32;
  Shape shape;
  const void* data = nullptr;

  template <typename T>
  [[nodiscard]] std::span<const T> Span() const {
    assert(DataTypeOf<T>::value == type);
    return {static_cast<const T*>(data), static_cast<size_t>(shape.elements())};
  }
  [[nodiscard]] size_t bytes() const { return static_cast<size_t>(shape.elements()) * SizeOf(type); }
};

class Tensor {
 public:
  Tensor() = default;
  // Requires a validated shape (CheckedElements() has a value that fits in memory).
  Tensor(DataType type, Shape shape)
      : type_(type), shape_(std::move(shape)), buffer_(static_cast<size_t>(shape_.elements()) * SizeOf(type)) {}

  template <typename T>
  static Tensor Of(Shape shape, std::span<const T> values) {
    Tensor tensor(DataTypeOf<T>::value, std::move(shape));
    assert(values.size() == tensor.Span<T>().size());
    if (!values.empty()) std::memcpy(tensor.buffer_.data(), values.data(), values.size_bytes());
    return tensor;
  }

  [[nodiscard]] DataType type() const { return type_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }
  [[nodiscard]] size_t bytes() const { return buffer_.size(); }
  [[nodiscard]] std::byte* data() { return buffer_.data(); }
  [[nodiscard]] const std::byte* data() const { return buffer_.data(); }

  template <typename T>
  [[nodiscard]] std::span<T> Span() {
    assert(DataTypeOf<T>::value == type_);
    return {buffer_.As<T>(), static_cast<size_t>(shape_.elements())};
  }
  template <typename T>
  [[nodiscard]] std::span<const T> Span() const {
    assert(DataTypeOf<T>::value == type_);
    return {buffer_.As<T>(), static_cast<size_t>(shape_.elements())};
  }
  [[nodiscard]] TensorView View() const { return {type_, shape_, buffer_.data()}; }
  [[nodiscard]] Tensor Clone() const {
    Tensor copy(type_, shape_);
    if (bytes() != 0) std::memcpy(copy.data(), data(), bytes());
    return copy;
  }
  // The same elements under another shape with as many elements.
  void Reshape(Shape shape) {
    assert(shape.elements() == shape_.elements());
    shape_ = std::move(shape);
  }

 private:
  DataType type_ = DataType::kFloat32;
  Shape shape_{0};
  AlignedBuffer buffer_;
};

}  // namespace bitstage
