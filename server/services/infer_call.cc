#include "server/services/infer_call.h"

#include <chrono>
#include <utility>

#include "engine/base/status_macros.h"
#include "server/services/infer_response.h"
#include "server/services/status.h"

namespace bitstage::server {
namespace {

// How long a client that was refused for a full queue should wait before it tries again.
constexpr char kRetryPushbackMilliseconds[] = "100";

}  // namespace

Clock::TimePoint DeadlineOf(const grpc::CallbackServerContext& call, const Clock& clock) {
  const auto remaining = call.deadline() - std::chrono::system_clock::now();
  if (remaining > std::chrono::hours(24 * 365)) return Clock::TimePoint::max();
  return clock.Now() + std::chrono::duration_cast<Clock::TimePoint::duration>(remaining);
}

InferCall::InferCall(grpc::CallbackServerContext* call, const inference::ModelInferRequest& message,
                     inference::ModelInferResponse* response, InferenceRequest request, Target target)
    : Job(target.model->interface().name, static_cast<int64_t>(message.ByteSizeLong()),
          std::make_shared<RequestState>(target.clock, DeadlineOf(*call, target.clock))),
      call_(call),
      message_(message),
      response_(response),
      request_(std::move(request)),
      target_(std::move(target)) {}

void InferCall::Run() { Answer(Infer()); }

void InferCall::Drop(const absl::Status& reason) {
  if (absl::IsResourceExhausted(reason)) {
    call_->AddTrailingMetadata("grpc-retry-pushback-ms", kRetryPushbackMilliseconds);
  }
  Answer(reason);
}

absl::Status InferCall::Infer() {
  const Clock& clock = target_.clock;
  const ModelInterface& model = target_.model->interface();
  const auto queued = clock.Now() - target_.arrival;
  std::unique_ptr<SessionSlot> slot = target_.model->Borrow();
  RunDurations durations;
  const absl::Status status =
      RunInference(request_, model.preprocessing, *state(), clock, slot->session, slot->staging, durations);
  const Clock::TimePoint computed = clock.Now();
  if (status.ok()) {
    FillInferResponse(request_, model, slot->session, *response_);
    response_->set_id(message_.id());
    ModelMetrics& metrics = target_.metrics.ForModel(model.name);
    metrics.Observe(Phase::kQueue, queued);
    metrics.Observe(Phase::kDecode, durations.decode);
    metrics.Observe(Phase::kCompute, durations.compute);
    metrics.Observe(Phase::kEncode, clock.Now() - computed);
    metrics.Observe(Phase::kTotal, clock.Now() - target_.arrival);
    metrics.CountImages(request_.batch);
  }
  target_.model->GiveBack(std::move(slot));
  return status;
}

void InferCall::Answer(const absl::Status& status) {
  target_.metrics.CountRequest(lane(), "ModelInfer", absl::StatusCodeToString(status.code()));
  target_.metrics.RequestEnded();
  Finish(ToGrpcStatus(status));
}

}  // namespace bitstage::server
