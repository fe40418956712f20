// InferCall: one ModelInfer from the queue to its answer.
#pragma once

#include <memory>

#include "grpcpp/grpcpp.h"
#include "proto/inference.pb.h"
#include "server/observability/metrics.h"
#include "server/repository/served_model.h"
#include "server/scheduling/inference.h"
#include "server/scheduling/work_queue.h"

namespace bitstage::server {

// Owned by the call: deletes itself when gRPC is done with it. `call`, `message` and `response` are gRPC's and live as
// long. Finished exactly once, by Run or by Drop.
class InferCall final : public grpc::ServerUnaryReactor, public Job {
 public:
  struct Target {
    std::shared_ptr<ServedModel> model;
    ServerMetrics& metrics;
    const Clock& clock;
    Clock::TimePoint arrival;
  };

  InferCall(grpc::CallbackServerContext* call, const inference::ModelInferRequest& message,
            inference::ModelInferResponse* response, InferenceRequest request, Target target);

  void Run() override;
  void Drop(const absl::Status& reason) override;
  void OnCancel() override { state()->Cancel(); }
  void OnDone() override { delete this; }

 private:
  absl::Status Infer();
  void Answer(const absl::Status& status);

  grpc::CallbackServerContext* const call_;
  const inference::ModelInferRequest& message_;
  inference::ModelInferResponse* const response_;
  const InferenceRequest request_;
  const Target target_;
};

// The deadline of a call on our clock; Clock::TimePoint::max() where there is none or it is further than a year away.
Clock::TimePoint DeadlineOf(const grpc::CallbackServerContext& call, const Clock& clock);

}  // namespace bitstage::server
