#include "engine/format/onnx_constant_folding.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

// Calls visitor with a value of the element type.
template <typename Visitor>
auto VisitType(DataType type, Visitor visitor) {
  switch (type) {
    case DataType::kFloat32: return visitor(float{});
    case DataType::kInt64: return visitor(int64_t{});
    case DataType::kInt32: return visitor(int32_t{});
    case DataType::kInt8: return visitor(int8_t{});
    case DataType::kBool: return visitor(bool{});
    case DataType::kUInt8: break;
  }
  return visitor(uint8_t{});
}

template <typename T>
T CastFromFloat(float x) {
  if constexpr (std::is_same_v<T, bool>) return x != 0;
  if (std::isnan(x)) return 0;
  const double low = static_cast<double>(std::numeric_limits<T>::lowest());
  const double high = static_cast<double>(std::numeric_limits<T>::max());
  if (x <= low) return std::numeric_limits<T>::lowest();
  if (x >= high) return std::numeric_limits<T>::max();
  return static_cast<T>(x);
}

template <typename T>
std::optional<T> Apply(OnnxFolder::Arithmetic op, T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    switch (op) {
      case OnnxFolder::Arithmetic::kAdd: return a + b;
      case OnnxFolder::Arithmetic::kSub: return a - b;
      case OnnxFolder::Arithmetic::kMul: return a * b;
      case OnnxFolder::Arithmetic::kDiv: return a / b;
    }
  } else {
    T result = 0;
    bool overflow = false;
    switch (op) {
      case OnnxFolder::Arithmetic::kAdd: overflow = __builtin_add_overflow(a, b, &result); break;
      case OnnxFolder::Arithmetic::kSub: overflow = __builtin_sub_overflow(a, b, &result); break;
      case OnnxFolder::Arithmetic::kMul: overflow = __builtin_mul_overflow(a, b, &result); break;
      case OnnxFolder::Arithmetic::kDiv:
        overflow = b == 0 || (b == -1 && a == std::numeric_limits<T>::min());
        if (!overflow) result = a / b;
        break;
    }
    if (!overflow) return result;
  }
  return std::nullopt;
}

}  // namespace

absl::Status CheckOnnxShape(const Shape& shape) {
  int64_t elements = 1;
  bool valid = shape.rank() <= kMaxRank;
  for (const int64_t extent : shape) {
    const std::optional<int64_t> product = CheckedMul(elements, std::max<int64_t>(extent, 1));
    valid = valid && extent >= 0 && product && *product <= kMaxOnnxElements;
    elements = product.value_or(0);
  }
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("shape ", shape.ToString(), " is negative, larger than ",
                                                 kMaxOnnxElements, " elements, or of a rank above ", kMaxRank));
}

absl::StatusOr<Shape> BroadcastShapes(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape result;
  for (int axis = 0; axis < rank; ++axis) {
    const int64_t x = axis < rank - a.rank() ? 1 : a[axis - (rank - a.rank())];
    const int64_t y = axis < rank - b.rank() ? 1 : b[axis - (rank - b.rank())];
    if (x != y && x != 1 && y != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("shapes ", a.ToString(), " and ", b.ToString(), " cannot be broadcast together"));
    }
    result.Append(x == 1 ? y : x);
  }
  BITSTAGE_RETURN_IF_ERROR(CheckOnnxShape(result));
  return result;
}

absl::StatusOr<int> NormalizeAxis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return absl::InvalidArgumentError(absl::StrCat("axis ", axis, " of a tensor of rank ", rank));
  }
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

std::vector<int64_t> StridesOf(const Shape& shape) {
  std::vector<int64_t> strides(static_cast<size_t>(shape.rank()));
  for (int axis = 0; axis < shape.rank(); ++axis) strides[static_cast<size_t>(axis)] = shape.InnerElements(axis);
  return strides;
}

absl::StatusOr<std::vector<int64_t>> IntegersOf(const Tensor& tensor) {
  return VisitType(tensor.type(), [&](auto element) -> absl::StatusOr<std::vector<int64_t>> {
    using T = decltype(element);
    if constexpr (std::is_floating_point_v<T>) {
      return absl::InvalidArgumentError("expected integers, found floats");
    } else {
      const std::span<const T> values = tensor.Span<T>();
      return std::vector<int64_t>(values.begin(), values.end());
    }
  });
}

absl::Status OnnxFolder::Charge(DataType type, const Shape& shape) {
  BITSTAGE_RETURN_IF_ERROR(CheckOnnxShape(shape));
  // A constant overhead keeps even empty tensors from being free.
  const int64_t bytes = shape.elements() * static_cast<int64_t>(SizeOf(type)) + 256;
  if (bytes > budget_bytes_) {
    return absl::InvalidArgumentError(absl::StrCat("a constant ", shape.ToString(), " takes ", bytes, " bytes; ",
                                                   budget_bytes_, " are left for constants"));
  }
  budget_bytes_ -= bytes;
  return absl::OkStatus();
}

absl::StatusOr<Tensor> OnnxFolder::NewTensor(DataType type, const Shape& shape) {
  BITSTAGE_RETURN_IF_ERROR(Charge(type, shape));
  return Tensor(type, shape);
}

absl::StatusOr<Tensor> OnnxFolder::CopyStrided(const Tensor& in, const Shape& shape, int64_t offset,
                                               std::span<const int64_t> strides) {
  BITSTAGE_ASSIGN_OR_RETURN(Tensor out, NewTensor(in.type(), shape));
  VisitType(in.type(), [&](auto element) {
    using T = decltype(element);
    const std::span<const T> source = in.Span<T>();
    const std::span<T> target = out.Span<T>();
    std::vector<int64_t> index(strides.size());
    int64_t position = offset;
    for (T& value : target) {
      value = source[static_cast<size_t>(position)];
      for (int axis = shape.rank() - 1; axis >= 0; --axis) {
        const auto k = static_cast<size_t>(axis);
        position += strides[k];
        if (++index[k] < shape[axis]) break;
        position -= strides[k] * shape[axis];
        index[k] = 0;
      }
    }
  });
  return out;
}

absl::StatusOr<Tensor> OnnxFolder::Reshape(const Tensor& in, const Shape& shape) {
  BITSTAGE_ASSIGN_OR_RETURN(Tensor out, NewTensor(in.type(), shape));
  if (out.bytes() != in.bytes()) {
    return absl::InvalidArgumentError(absl::StrCat("cannot reshape ", in.shape().ToString(), " to ", shape.ToString()));
  }
  if (in.bytes() != 0) std::memcpy(out.data(), in.data(), in.bytes());
  return out;
}

absl::StatusOr<Tensor> OnnxFolder::Transpose(const Tensor& in, std::span<const int> permutation) {
  const std::vector<int64_t> in_strides = StridesOf(in.shape());
  Shape shape;
  std::vector<int64_t> strides;
  for (const int axis : permutation) {
    shape.Append(in.shape()[axis]);
    strides.push_back(in_strides[static_cast<size_t>(axis)]);
  }
  return CopyStrided(in, shape, 0, strides);
}

absl::StatusOr<Tensor> OnnxFolder::Expand(const Tensor& in, const Shape& shape) {
  const std::vector<int64_t> in_strides = StridesOf(in.shape());
  std::vector<int64_t> strides(static_cast<size_t>(shape.rank()), 0);
  const int missing = shape.rank() - in.shape().rank();
  for (int axis = 0; axis < in.shape().rank(); ++axis) {
    if (in.shape()[axis] == 1) continue;
    strides[static_cast<size_t>(axis + missing)] = in_strides[static_cast<size_t>(axis)];
  }
  return CopyStrided(in, shape, 0, strides);
}

absl::StatusOr<Tensor> OnnxFolder::Slice(const Tensor& in, std::span<const int64_t> begin,
                                         std::span<const int64_t> step, const Shape& extent) {
  std::vector<int64_t> strides = StridesOf(in.shape());
  int64_t offset = 0;
  for (size_t k = 0; k < strides.size(); ++k) {
    offset += begin[k] * strides[k];
    // A single element needs no step, and a huge step must not be multiplied.
    strides[k] = extent[static_cast<int>(k)] > 1 ? strides[k] * step[k] : 0;
  }
  return CopyStrided(in, extent, offset, strides);
}

absl::StatusOr<Tensor> OnnxFolder::Gather(const Tensor& in, const Tensor& indices, int axis) {
  BITSTAGE_ASSIGN_OR_RETURN(std::vector<int64_t> positions, IntegersOf(indices));
  Shape shape(in.shape().begin(), in.shape().begin() + axis);
  for (const int64_t extent : indices.shape()) shape.Append(extent);
  for (int i = axis + 1; i < in.shape().rank(); ++i) shape.Append(in.shape()[i]);
  BITSTAGE_ASSIGN_OR_RETURN(Tensor out, NewTensor(in.type(), shape));
  const int64_t extent = in.shape()[axis];
  for (int64_t& position : positions) {
    if (position < -extent || position >= extent) {
      return absl::InvalidArgumentError(absl::StrCat("index ", position, " of an axis of ", extent));
    }
    if (position < 0) position += extent;
  }
  if (out.bytes() == 0) return out;
  const size_t block = static_cast<size_t>(in.shape().InnerElements(axis)) * SizeOf(in.type());
  const size_t outer = in.bytes() / (block * static_cast<size_t>(extent));
  std::byte* target = out.data();
  for (size_t i = 0; i < outer; ++i) {
    for (const int64_t position : positions) {
      std::memcpy(target, in.data() + (i * static_cast<size_t>(extent) + static_cast<size_t>(position)) * block, block);
      target += block;
    }
  }
  return out;
}

absl::StatusOr<Tensor> OnnxFolder::Concat(std::span<const Tensor* const> parts, int axis) {
  Shape shape = parts[0]->shape();
  shape[axis] = 0;
  for (const Tensor* part : parts) {
    Shape rest = part->shape();
    if (rest.rank() == shape.rank()) rest[axis] = shape[axis];
    if (rest != shape || part->type() != parts[0]->type()) {
      return absl::InvalidArgumentError(absl::StrCat("cannot concatenate ", parts[0]->shape().ToString(), " and ",
                                                     part->shape().ToString(), " along axis ", axis));
    }
    shape[axis] += part->shape()[axis];
  }
  BITSTAGE_ASSIGN_OR_RETURN(Tensor out, NewTensor(parts[0]->type(), shape));
  if (out.bytes() == 0) return out;
  const size_t row = static_cast<size_t>(shape[axis] * shape.InnerElements(axis)) * SizeOf(out.type());
  size_t column = 0;
  for (const Tensor* part : parts) {
    const size_t width = row / static_cast<size_t>(shape[axis]) * static_cast<size_t>(part->shape()[axis]);
    if (width == 0) continue;
    for (size_t i = 0; i < out.bytes() / row; ++i) {
      std::memcpy(out.data() + i * row + column, part->data() + i * width, width);
    }
    column += width;
  }
  return out;
}

absl::StatusOr<Tensor> OnnxFolder::Cast(const Tensor& in, DataType type) {
  BITSTAGE_ASSIGN_OR_RETURN(Tensor out, NewTensor(type, in.shape()));
  VisitType(in.type(), [&](auto from) {
    VisitType(type, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const std::span<const From> source = in.Span<From>();
      const std::span<To> target = out.Span<To>();
      for (size_t i = 0; i < target.size(); ++i) {
        if constexpr (std::is_same_v<From, float> && !std::is_same_v<To, float>) {
          target[i] = CastFromFloat<To>(source[i]);
        } else {
          target[i] = static_cast<To>(source[i]);
        }
      }
    });
  });
  return out;
}

absl::StatusOr<Tensor> OnnxFolder::Combine(Arithmetic op, const Tensor& a, const Tensor& b) {
  if (a.type() != b.type()) {
    return absl::InvalidArgumentError(absl::StrCat("operands of type ", Name(a.type()), " and ", Name(b.type())));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const Shape shape, BroadcastShapes(a.shape(), b.shape()));
  BITSTAGE_ASSIGN_OR_RETURN(Tensor x, Expand(a, shape));
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor y, Expand(b, shape));
  const absl::Status status = VisitType(a.type(), [&](auto element) -> absl::Status {
    using T = decltype(element);
    if constexpr (sizeof(T) < 4) {
      return absl::UnimplementedError(absl::StrCat("arithmetic on constants of type ", Name(a.type())));
    } else {
      const std::span<T> target = x.template Span<T>();
      const std::span<const T> other = y.template Span<T>();
      for (size_t i = 0; i < target.size(); ++i) {
        const std::optional<T> result = Apply(op, target[i], other[i]);
        if (!result)
          return absl::InvalidArgumentError(absl::StrCat("integer overflow or division by zero at element ", i));
        target[i] = *result;
      }
      return absl::OkStatus();
    }
  });
  BITSTAGE_RETURN_IF_ERROR(status);
  return x;
}

}  // namespace bitstage
