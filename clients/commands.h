// The verbs of bitstage-client.
#pragma once

#include "absl/status/status.h"
#include "clients/connection.h"
#include "engine/base/flags.h"

namespace bitstage::client {

// What the server is and which models it serves.
absl::Status RunStatus(const Connection& connection, const Arguments& arguments);

// A table of the likeliest classes for every image.
absl::Status RunClassify(const Connection& connection, const Arguments& arguments);

// A closed loop: every one of --concurrency clients sends its next request when its last was answered.
absl::Status RunBench(const Connection& connection, const Arguments& arguments);

}  // namespace bitstage::client
