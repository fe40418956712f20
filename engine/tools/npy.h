// .npy, numpy's array file (format versions 1.0 to 3.0): how arrays enter and leave `run`.
//
// Read: little-endian float32, uint8 and int64 in C order, of rank 1 or more. Written: the same, version 1.0.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// NOT_FOUND, or INVALID_ARGUMENT saying what of the header was expected and found. Errors name the file.
absl::StatusOr<Tensor> ReadNpy(const std::string& path);
absl::StatusOr<Tensor> ParseNpy(std::span<const std::byte> bytes);

// Requires a type that can be read again. UNAVAILABLE where the file cannot be written.
absl::Status WriteNpy(const TensorView& tensor, const std::string& path);
std::string FormatNpy(const TensorView& tensor);

}  // namespace bitstage
