// The verbs of bitstage-client. The first positional argument is the verb itself.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "clients/connection.h"
#include "engine/base/flags.h"

namespace bitstage::client {

// The positional arguments behind the verb.
inline std::vector<std::string> ImagePaths(const Arguments& arguments) {
  return {arguments.positional().begin() + 1, arguments.positional().end()};
}

// What the server is and which models it serves.
absl::Status RunStatus(const Connection& connection, const Arguments& arguments);

// A table of the likeliest classes for every image.
absl::Status RunClassify(const Connection& connection, const Arguments& arguments);

// A closed loop: every one of --concurrency clients sends its next request when its last was answered.
absl::Status RunBench(const Connection& connection, const Arguments& arguments);

}  // namespace bitstage::client
