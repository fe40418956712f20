// The elements of one input tensor, raw or typed, checked against the extents that its shape declares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/inference.pb.h"

namespace bitstage::server {

// Where the elements are: exactly one is not null.
struct TensorData {
  const std::string* raw = nullptr;
  const inference::InferTensorContents* typed = nullptr;
};

// `where` names the tensor and its model in messages; `elements` is the checked product of the shape. All return
// INVALID_ARGUMENT where size, element type or range differ. Results borrow from the message.

// Bytes of `element_bytes` each; typed contents of FP32 and INT64 alone. Aligned for their type (a string's memory is).
absl::StatusOr<const void*> FixedElements(const TensorData& data, absl::string_view datatype, int64_t elements,
                                          size_t element_bytes, absl::string_view where);

// UINT8. Typed contents are checked to be at most 255 and go to `converted`.
absl::StatusOr<std::span<const uint8_t>> ByteElements(const TensorData& data, int64_t elements, absl::string_view where,
                                                      std::vector<std::vector<uint8_t>>& converted);

// BYTES.
absl::StatusOr<std::vector<std::span<const std::byte>>> StringElements(const TensorData& data, int64_t elements,
                                                                       absl::string_view where);

}  // namespace bitstage::server
