#include "server/pipeline/stage_job.h"

#include <utility>
#include <vector>

#include "engine/base/status_macros.h"
#include "engine/codec/frame.h"
#include "server/observability/text.h"

namespace bitstage::server {

StageService::StageJob::StageJob(std::shared_ptr<Stream> stream, StageTarget target, v1::StageInfer infer,
                                 std::shared_ptr<RequestState> state, uint64_t forward_id)
    : Job(target.model->interface().name, static_cast<int64_t>(infer.frame().size()), std::move(state)),
      stream_(std::move(stream)),
      target_(std::move(target)),
      infer_(std::move(infer)),
      forward_id_(forward_id),
      context_(stream_->context()),
      arrival_(context_.clock.Now()) {}

void StageService::StageJob::Start(const absl::Status& refusal) {
  context_.metrics.RequestStarted();
  // A job that is queued may be gone before Submit returns; one that is refused is still ours.
  const absl::Status refused = refusal.ok() ? context_.scheduler.Submit(this) : refusal;
  if (!refused.ok()) Drop(refused);
}

void StageService::StageJob::Run() {
  // What is needed after the job has answered, perhaps on another thread.
  const std::shared_ptr<ServedModel> model = target_.model;
  const std::shared_ptr<StageLink> next = target_.role->next;
  std::unique_ptr<SessionSlot> slot = model->Borrow();
  absl::Status status = RunStage(*slot);
  const bool forwards = status.ok() && next != nullptr;
  if (forwards) {
    status = next->Send(forward_id_, batch_, slot->session.Output(0).Span<uint8_t>(), state(),
                        [this](absl::StatusOr<StageAnswer> answer) {
                          if (answer.ok()) {
                            for (std::string& output : answer->outputs) result_.add_outputs(std::move(output));
                          }
                          Finish(answer.status());
                        });
  } else if (status.ok()) {
    FillOutputs(*slot);
  }
  model->GiveBack(std::move(slot));
  if (!forwards || !status.ok()) Finish(status);
}

absl::Status StageService::StageJob::RunStage(SessionSlot& slot) {
  const Clock& clock = context_.clock;
  const FrameBoundary& boundary = *target_.role->input;
  const Clock::TimePoint begin = clock.Now();
  BITSTAGE_ASSIGN_OR_RETURN(batch_, FrameBatch(infer_.frame(), boundary, target_.max_batch));
  Tensor codes(DataType::kUInt8, boundary.image_shape().WithOuter(batch_));
  BITSTAGE_RETURN_IF_ERROR(DecodeFrame(infer_.frame(), boundary, batch_, codes.Span<uint8_t>()));
  const Clock::TimePoint decoded = clock.Now();
  const std::vector<TensorView> inputs = {codes.View()};
  BITSTAGE_RETURN_IF_ERROR(slot.session.Run(batch_, inputs, Cancellation([this] { return state()->Check(); })));

  target_.role->metrics->Observe(StagePhase::kDecode, decoded - begin);
  target_.role->metrics->CountFrame(Direction::kReceived, Name(CodingOf(infer_.frame())),
                                    static_cast<int64_t>(infer_.frame().size()), static_cast<int64_t>(codes.bytes()));
  ModelMetrics& metrics = context_.metrics.ForModel(lane());
  metrics.Observe(Phase::kQueue, begin - arrival_);
  metrics.Observe(Phase::kDecode, decoded - begin);
  metrics.Observe(Phase::kCompute, clock.Now() - decoded);
  return absl::OkStatus();
}

void StageService::StageJob::FillOutputs(const SessionSlot& slot) {
  for (size_t i = 0; i < target_.model->interface().outputs.size(); ++i) {
    const TensorView output = slot.session.Output(i);
    result_.add_outputs(output.data, output.bytes());
  }
}

void StageService::StageJob::Finish(const absl::Status& status) {
  const auto elapsed = context_.clock.Now() - arrival_;
  if (status.ok()) {
    ModelMetrics& metrics = context_.metrics.ForModel(lane());
    metrics.Observe(Phase::kTotal, elapsed);
    metrics.CountImages(batch_);
  } else {
    result_.clear_outputs();
  }
  context_.metrics.CountRequest(lane(), "Stage", absl::StatusCodeToString(status.code()));
  context_.metrics.RequestEnded();
  result_.set_id(infer_.id());
  result_.set_code(static_cast<int32_t>(status.code()));
  result_.set_message(SafeMessage(status.message()));
  result_.set_elapsed_ns(static_cast<uint64_t>(elapsed.count()));
  stream_->Answer(std::move(result_));
  delete this;
}

}  // namespace bitstage::server
