#include "server/services/infer_call.h"

#include <chrono>
#include <utility>
#include <vector>

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
    : Job(target.offer.interface->name, static_cast<int64_t>(message.ByteSizeLong()),
          std::make_shared<RequestState>(target.clock, DeadlineOf(*call, target.clock))),
      call_(call),
      message_(message),
      response_(response),
      request_(std::move(request)),
      target_(std::move(target)),
      forward_id_(target_.offer.next == nullptr ? 0 : target_.offer.next->NewId()) {}

void InferCall::Run() {
  const std::shared_ptr<ServedModel> model = target_.offer.model;  // the call may be gone once it is forwarded
  std::unique_ptr<SessionSlot> slot = model->Borrow();
  absl::Status status = Compute(*slot);
  const bool forwards = status.ok() && forward_id_ != 0;
  if (forwards) {
    status = Forward(*slot);
  } else if (status.ok()) {
    std::vector<TensorView> outputs;
    for (size_t i = 0; i < target_.offer.interface->outputs.size(); ++i) outputs.push_back(slot->session.Output(i));
    Respond(outputs);
  }
  model->GiveBack(std::move(slot));
  if (!forwards || !status.ok()) Answer(status);
}

void InferCall::OnCancel() {
  state()->Cancel();
  if (forward_id_ != 0) target_.offer.next->Cancel(forward_id_);
}

void InferCall::Drop(const absl::Status& reason) {
  if (absl::IsResourceExhausted(reason)) {
    call_->AddTrailingMetadata("grpc-retry-pushback-ms", kRetryPushbackMilliseconds);
  }
  Answer(reason);
}

absl::Status InferCall::Compute(SessionSlot& slot) {
  const ModelInterface& interface = *target_.offer.interface;
  queued_ = target_.clock.Now() - target_.arrival;
  return RunInference(request_, interface.preprocessing, *state(), target_.clock, slot.session, slot.staging,
                      durations_);
}

absl::Status InferCall::Forward(const SessionSlot& slot) {
  const std::shared_ptr<StageLink> next = target_.offer.next;
  return next->Send(
      forward_id_, request_.batch, slot.session.Output(0).Span<uint8_t>(), state(),
      [this](const absl::StatusOr<StageAnswer>& answer) {
        if (!answer.ok()) return Answer(answer.status());
        const std::vector<TensorSpec>& specs = target_.offer.interface->outputs;
        std::vector<TensorView> outputs;
        for (size_t i = 0; i < specs.size(); ++i) {
          outputs.push_back({specs[i].type, specs[i].shape.WithOuter(request_.batch), answer->outputs[i].data()});
        }
        Respond(outputs);
        Answer(absl::OkStatus());
      });
}

void InferCall::Respond(std::span<const TensorView> outputs) {
  const Clock::TimePoint begin = target_.clock.Now();
  const ModelInterface& interface = *target_.offer.interface;
  FillInferResponse(request_, interface, outputs, *response_);
  response_->set_id(message_.id());
  ModelMetrics& metrics = target_.metrics.ForModel(interface.name);
  const Clock::TimePoint end = target_.clock.Now();
  metrics.Observe(Phase::kQueue, queued_);
  metrics.Observe(Phase::kDecode, durations_.decode);
  metrics.Observe(Phase::kCompute, durations_.compute);
  metrics.Observe(Phase::kEncode, end - begin);
  metrics.Observe(Phase::kTotal, end - target_.arrival);
  metrics.CountImages(request_.batch);
}

void InferCall::Answer(const absl::Status& status) {
  target_.metrics.CountRequest(lane(), "ModelInfer", absl::StatusCodeToString(status.code()));
  target_.metrics.RequestEnded();
  Finish(ToGrpcStatus(status));
}

}  // namespace bitstage::server
