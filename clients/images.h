// Images as request tensors: the encoded file travels, the server decodes it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "proto/inference.pb.h"

namespace bitstage::client {

// INVALID_ARGUMENT or NOT_FOUND naming the file; a file over 32 MiB is refused before it is sent.
absl::StatusOr<std::string> ReadImageFile(const std::string& path);

// One image as a BYTES tensor of shape [1] for `input` of `model`.
inference::ModelInferRequest ImageRequest(const std::string& model, const std::string& input,
                                          const std::string& encoded);

}  // namespace bitstage::client
