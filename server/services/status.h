// The one way from the engine's status to gRPC's.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace bitstage::server {

// The same code (UNKNOWN becomes INTERNAL), the text made safe: escaped and cut (server/observability/text.h).
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace bitstage::server
