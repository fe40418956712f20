// Element types of tensors and their names in the Open Inference Protocol.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace bitstage {

enum class DataType : uint8_t { kFloat32, kInt64, kInt32, kUInt8, kInt8, kBool };

constexpr size_t SizeOf(DataType type) {
  switch (type) {
    case DataType::kFloat32:
    case DataType::kInt32: return 4;
    case DataType::kInt64: return 8;
    case DataType::kUInt8:
    case DataType::kInt8:
    case DataType::kBool: return 1;
  }
  return 0;
}

// "FP32", "INT64", "UINT8" …
constexpr absl::string_view Name(DataType type) {
  switch (type) {
    case DataType::kFloat32: return "FP32";
    case DataType::kInt64: return "INT64";
    case DataType::kInt32: return "INT32";
    case DataType::kUInt8: return "UINT8";
    case DataType::kInt8: return "INT8";
    case DataType::kBool: return "BOOL";
  }
  return "?";
}

template <typename T>
struct DataTypeOf;
template <>
struct DataTypeOf<float> {
  static constexpr DataType value = DataType::kFloat32;
};
template <>
struct DataTypeOf<int64_t> {
  static constexpr DataType value = DataType::kInt64;
};
template <>
struct DataTypeOf<int32_t> {
  static constexpr DataType value = DataType::kInt32;
};
template <>
struct DataTypeOf<uint8_t> {
  static constexpr DataType value = DataType::kUInt8;
};
template <>
struct DataTypeOf<int8_t> {
  static constexpr DataType value = DataType::kInt8;
};
template <>
struct DataTypeOf<bool> {
  static constexpr DataType value = DataType::kBool;
};

}  // namespace bitstage
