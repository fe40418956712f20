// InferCall: one ModelInfer from the queue to its answer, which a first stage gets from the stages behind it.
#pragma once

#include <memory>
#include <span>

#include "grpcpp/grpcpp.h"
#include "proto/inference.pb.h"
#include "server/observability/metrics.h"
#include "server/pipeline/topology.h"
#include "server/scheduling/inference.h"
#include "server/scheduling/work_queue.h"

namespace bitstage::server {

// Owned by the call: deletes itself when gRPC is done with it. `call`, `message` and `response` are gRPC's and live as
// long. Finished exactly once, by Run or by Drop.
class InferCall final : public grpc::ServerUnaryReactor, public Job {
 public:
  struct Target {
    Offer offer;
    ServerMetrics& metrics;
    const Clock& clock;
    Clock::TimePoint arrival;
  };

  InferCall(grpc::CallbackServerContext* call, const inference::ModelInferRequest& message,
            inference::ModelInferResponse* response, InferenceRequest request, Target target);

  void Run() override;
  void Drop(const absl::Status& reason) override;
  void OnCancel() override;
  void OnDone() override { delete this; }

 private:
  absl::Status Compute(SessionSlot& slot);
  // To the next stage. Unless OK, the call is still ours.
  absl::Status Forward(const SessionSlot& slot);
  void Respond(std::span<const TensorView> outputs);
  void Answer(const absl::Status& status);

  grpc::CallbackServerContext* const call_;
  const inference::ModelInferRequest& message_;
  inference::ModelInferResponse* const response_;
  const InferenceRequest request_;
  const Target target_;
  const uint64_t forward_id_;  // at the next stage; 0 where there is none
  std::chrono::nanoseconds queued_{0};
  RunDurations durations_;
};

// The deadline of a call on our clock; Clock::TimePoint::max() where there is none or it is further than a year away.
Clock::TimePoint DeadlineOf(const grpc::CallbackServerContext& call, const Clock& clock);

}  // namespace bitstage::server
