#include "engine/format/onnx_tensor.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_constant_folding.h"

namespace bitstage {
namespace {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian and copied as it is");

float FromHalf(uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const int fraction = bits & 0x3ff;
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  if (exponent == 0x1f) {
    return fraction == 0 ? sign * std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  }
  return sign * std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
}

float FromBfloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// Copies elements of type Stored, converted one by one, from raw_data or from the typed list.
template <typename Stored, typename T, typename List, typename Convert>
absl::StatusOr<Tensor> Read(const onnx::TensorProto& proto, const List& list, const char* list_name, Shape shape,
                            Convert convert) {
  const int64_t elements = *shape.CheckedElements();
  const bool raw = !proto.raw_data().empty();
  const int64_t found = raw ? static_cast<int64_t>(proto.raw_data().size() / sizeof(Stored)) : list.size();
  if (found != elements || (raw && proto.raw_data().size() % sizeof(Stored) != 0)) {
    return absl::InvalidArgumentError(absl::StrCat("dims ", shape.ToString(), " call for ", elements, " elements, but ",
                                                   raw ? "raw_data" : list_name, " holds ", found));
  }
  Tensor tensor(DataTypeOf<T>::value, std::move(shape));
  const std::span<T> values = tensor.Span<T>();
  for (size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    if (raw) {
      std::memcpy(&stored, proto.raw_data().data() + i * sizeof(Stored), sizeof(Stored));
    } else {
      stored = static_cast<Stored>(list.Get(static_cast<int>(i)));
    }
    values[i] = convert(stored);
  }
  return tensor;
}

}  // namespace

std::string OnnxTypeName(int type) {
  if (!onnx::TensorProto::DataType_IsValid(type)) return absl::StrCat(type);
  return onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(type));
}

absl::StatusOr<DataType> DataTypeOfOnnx(int type) {
  switch (type) {
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16: return DataType::kFloat32;
    case onnx::TensorProto::INT64: return DataType::kInt64;
    case onnx::TensorProto::INT32: return DataType::kInt32;
    case onnx::TensorProto::UINT8: return DataType::kUInt8;
    case onnx::TensorProto::INT8: return DataType::kInt8;
    case onnx::TensorProto::BOOL: return DataType::kBool;
    default:
      return absl::UnimplementedError(absl::StrCat("element type ", OnnxTypeName(type),
                                                   " is not supported (are: FLOAT, "
                                                   "DOUBLE, FLOAT16, BFLOAT16, INT64, INT32, INT8, UINT8, BOOL)"));
  }
}

absl::StatusOr<Tensor> ReadOnnxTensor(const onnx::TensorProto& proto) {
  if (proto.data_location() == onnx::TensorProto::EXTERNAL) {
    return absl::UnimplementedError(
        "its data lies in another file (data_location EXTERNAL): save the model as one file");
  }
  Shape shape(proto.dims().begin(), proto.dims().end());
  BITSTAGE_RETURN_IF_ERROR(CheckOnnxShape(shape));
  const auto same = [](auto value) { return value; };
  switch (proto.data_type()) {
    case onnx::TensorProto::FLOAT:
      return Read<float, float>(proto, proto.float_data(), "float_data", std::move(shape), same);
    case onnx::TensorProto::DOUBLE:
      return Read<double, float>(proto, proto.double_data(), "double_data", std::move(shape),
                                 [](double value) { return static_cast<float>(value); });
    case onnx::TensorProto::FLOAT16:
      return Read<uint16_t, float>(proto, proto.int32_data(), "int32_data", std::move(shape), FromHalf);
    case onnx::TensorProto::BFLOAT16:
      return Read<uint16_t, float>(proto, proto.int32_data(), "int32_data", std::move(shape), FromBfloat);
    case onnx::TensorProto::INT64:
      return Read<int64_t, int64_t>(proto, proto.int64_data(), "int64_data", std::move(shape), same);
    case onnx::TensorProto::INT32:
      return Read<int32_t, int32_t>(proto, proto.int32_data(), "int32_data", std::move(shape), same);
    case onnx::TensorProto::UINT8:
      return Read<uint8_t, uint8_t>(proto, proto.int32_data(), "int32_data", std::move(shape), same);
    case onnx::TensorProto::INT8:
      return Read<int8_t, int8_t>(proto, proto.int32_data(), "int32_data", std::move(shape), same);
    case onnx::TensorProto::BOOL:
      return Read<uint8_t, bool>(proto, proto.int32_data(), "int32_data", std::move(shape),
                                 [](uint8_t value) { return value != 0; });
    default: return DataTypeOfOnnx(proto.data_type()).status();
  }
}

}  // namespace bitstage
