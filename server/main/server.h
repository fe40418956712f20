// Server: every part, wired. What main runs, and what tests run in their own process.
//
//   BITSTAGE_ASSIGN_OR_RETURN(std::unique_ptr<Server> server, Server::Start(flags));
//   server->LoadModels();
//   … until a signal …
//   server->BeginDrain();  … the drain delay …  server->Shutdown(grace);
#pragma once

#include <chrono>
#include <memory>

#include "absl/status/statusor.h"
#include "server/main/flags.h"

namespace bitstage::server {

class Server {
 public:
  // Listens, live but not ready. INVALID_ARGUMENT for flags that cannot be followed (the text names the flag),
  // UNAVAILABLE where a port cannot be had.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerFlags& flags);
  // Shuts down without grace unless Shutdown was called.
  ~Server();

  [[nodiscard]] int grpc_port() const;
  [[nodiscard]] int metrics_port() const;

  // Loads the repository and then becomes ready, if a model serves. A model that cannot be loaded is logged, and keeps
  // the others from nothing. An error where the repository cannot be read or has no model at all.
  absl::Status LoadModels();

  // From now on not ready and NOT_SERVING, while requests are still served.
  void BeginDrain();

  // Refuses new connections, lets requests under way end for `grace`, then ends them with UNAVAILABLE.
  void Shutdown(std::chrono::milliseconds grace);

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace bitstage::server
