// grpc.health.v1.Health: the HealthBoard's answers on the wire. Served by our own generated code, so that reflection
// describes it.
#pragma once

#include <set>

#include "engine/base/mutex.h"
#include "grpcpp/grpcpp.h"
#include "proto/health.grpc.pb.h"
#include "server/services/health_board.h"

namespace bitstage::server {

class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  explicit HealthService(HealthBoard& board) : board_(board) {}

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context, const grpc::health::v1::HealthCheckRequest* request) override;

  // Ends every Watch with UNAVAILABLE, those to come as well: they would keep the server from shutting down.
  void EndWatches();

 private:
  class Watcher;
  void Forget(Watcher* watcher);

  HealthBoard& board_;
  Mutex mutex_;
  bool ended_ BITSTAGE_GUARDED_BY(mutex_) = false;
  std::set<Watcher*> watchers_ BITSTAGE_GUARDED_BY(mutex_);
};

}  // namespace bitstage::server
