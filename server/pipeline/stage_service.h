// bitstage.v1.StageService: the receiving end of a stage stream. It checks who calls, queues what comes beside all
// other work of the server, and passes on what the stages behind it answer.
#pragma once

#include <set>
#include <string>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "grpcpp/grpcpp.h"
#include "proto/stage.grpc.pb.h"
#include "server/pipeline/topology.h"
#include "server/repository/model_repository.h"
#include "server/scheduling/scheduler.h"

namespace bitstage::server {

// What the service works with; all of it outlives the service.
struct StageContext {
  const ModelRepository& repository;
  const Topology& topology;
  Scheduler& scheduler;
  ServerMetrics& metrics;
  const Clock& clock;
  int64_t max_message_bytes = 0;  // that the server reads
};

class StageService final : public v1::StageService::CallbackService {
 public:
  explicit StageService(StageContext context) : context_(context) {}

  grpc::ServerBidiReactor<v1::StageRequest, v1::StageResponse>* Run(grpc::CallbackServerContext* call) override;

  // The streams of `model` end with UNAVAILABLE and `reason`; their requests are cancelled.
  void EndStreams(const std::string& model, const std::string& reason);

  // Every stream takes no more requests, answers those it has, and ends with UNAVAILABLE; those to come as well.
  void Drain();

 private:
  class Stream;
  class StageJob;
  void Forget(Stream* stream);

  const StageContext context_;
  Mutex mutex_;
  bool draining_ BITSTAGE_GUARDED_BY(mutex_) = false;
  std::set<Stream*> streams_ BITSTAGE_GUARDED_BY(mutex_);
};

}  // namespace bitstage::server
