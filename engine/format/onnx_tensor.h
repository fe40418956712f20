// TensorProto to Tensor: FLOAT, DOUBLE, FLOAT16 and BFLOAT16 become float32; INT64, INT32, INT8, UINT8 and BOOL stay.
#pragma once

#include "absl/status/statusor.h"
#include "engine/tensor/tensor.h"
#include "proto/onnx.pb.h"

namespace bitstage {

// "FLOAT", "INT64" … or the number where there is no such type.
std::string OnnxTypeName(int type);

// The DataType that stands for an ONNX element type; UNIMPLEMENTED where none does.
absl::StatusOr<DataType> DataTypeOfOnnx(int type);

// Errors name the field, not the tensor.
absl::StatusOr<Tensor> ReadOnnxTensor(const onnx::TensorProto& proto);

}  // namespace bitstage
