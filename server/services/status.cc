#include "server/services/status.h"

#include "server/observability/text.h"

namespace bitstage::server {

// Abseil numbers its codes as gRPC does.
static_assert(static_cast<int>(absl::StatusCode::kUnauthenticated) == grpc::StatusCode::UNAUTHENTICATED);
static_assert(static_cast<int>(absl::StatusCode::kInvalidArgument) == grpc::StatusCode::INVALID_ARGUMENT);

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const absl::StatusCode code =
      status.code() == absl::StatusCode::kUnknown ? absl::StatusCode::kInternal : status.code();
  return grpc::Status(static_cast<grpc::StatusCode>(code), SafeMessage(status.message()));
}

}  // namespace bitstage::server
