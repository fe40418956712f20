// The command line of bitstage-server. Its one home: what a flag is called, means and defaults to.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace bitstage::server {

struct ServerFlags {
  std::string model_repository = "";
  std::string host = "0.0.0.0";
  int64_t grpc_port = 8001;
  int64_t metrics_port = 8002;
  int64_t max_batch = 8;
  int64_t workers = 0;  // 0: the CPUs available
  int64_t threads = 0;  // 0: the CPUs available
  int64_t queue_size = 256;
  int64_t queue_bytes = int64_t{256} << 20;
  int64_t max_message_bytes = int64_t{32} << 20;
  bool stage = false;
  std::string next_stage = "";  // HOST:PORT
  std::string frame_coding = "preferred";
  int64_t drain_delay_ms = 0;
  int64_t shutdown_grace_ms = 20000;
  bool help = false;
  bool version = false;
};

// `words` are the command line without the program's name, read as engine/base/flags.h says. A UsageError in words for
// who typed them.
absl::StatusOr<ServerFlags> ParseFlags(std::span<const std::string> words);

// What --help prints.
std::string FlagsHelp();

}  // namespace bitstage::server
