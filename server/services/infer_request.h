// From a ModelInferRequest nobody vouches for to an InferenceRequest: the one place where inference requests are
// refused.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/inference.pb.h"
#include "server/repository/model_interface.h"
#include "server/scheduling/inference.h"

namespace bitstage::server {

// "" is no version in particular. INVALID_ARGUMENT for anything but a version's own decimal digits.
absl::StatusOr<std::optional<int64_t>> RequestedVersion(absl::string_view text);

// INVALID_ARGUMENT (UNIMPLEMENTED for shared memory) saying which tensor of which model, what was expected and what was
// found. Names are compared whole, as bytes. Which forms an input may take: docs/serving.md. The result borrows from
// `message`, and no size in it exceeds what the message itself holds.
absl::StatusOr<InferenceRequest> ParseInferRequest(const inference::ModelInferRequest& message,
                                                   const ModelInterface& model);

}  // namespace bitstage::server
