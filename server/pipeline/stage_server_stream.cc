#include "server/pipeline/stage_server_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/observability/text.h"
#include "server/pipeline/stage_boundary.h"
#include "server/pipeline/stage_job.h"

namespace bitstage::server {
namespace {

grpc::Status StreamStatus(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), SafeMessage(status.message()));
}

void Describe(const TensorSpec& spec, v1::StageTensor& tensor) {
  tensor.set_name(spec.name);
  const absl::string_view datatype = Name(spec.type);
  tensor.set_datatype(datatype.data(), datatype.size());
  tensor.mutable_shape()->Add(spec.shape.begin(), spec.shape.end());
}

}  // namespace

void StageService::Stream::Begin() {
  self_ = shared_from_this();
  StartRead(&request_);
}

std::string StageService::Stream::model_name() const {
  const MutexLock lock(mutex_);
  return name_;
}

void StageService::Stream::OnReadDone(bool ok) {
  if (!ok) return End(absl::CancelledError("the stage before ended the stream"));
  if (request_.has_hello() != !target_.has_value()) {
    return End(absl::InvalidArgumentError("the first message of a stream, and no other, is a hello"));
  }
  switch (request_.kind_case()) {
    case v1::StageRequest::kHello: Hello(request_.hello()); break;
    case v1::StageRequest::kInfer: Infer(std::move(*request_.mutable_infer())); break;
    case v1::StageRequest::kCancel: Cancel(request_.cancel().id()); break;
    case v1::StageRequest::KIND_NOT_SET: break;  // of a later version: to be ignored
  }
  request_.Clear();
  const MutexLock lock(mutex_);
  if (!finished_) StartRead(&request_);
}

void StageService::Stream::Hello(const v1::StageIdentity& expected) {
  v1::StageResponse response;
  absl::StatusOr<StageTarget> target = Meet(expected, *response.mutable_welcome());
  if (!target.ok()) return End(target.status());
  target_ = *std::move(target);
  const MutexLock lock(mutex_);
  name_ = expected.model();
  queue_.push_back(std::move(response));
  Advance();
}

absl::StatusOr<StageTarget> StageService::Stream::Meet(const v1::StageIdentity& expected,
                                                       v1::StageWelcome& welcome) const {
  StageTarget target;
  BITSTAGE_ASSIGN_OR_RETURN(target.model, context().repository.Find(expected.model(), std::nullopt));
  target.role = context().topology.RoleOf(*target.model);
  if (target.role == nullptr || !target.role->input) {
    return absl::FailedPreconditionError(absl::StrCat(
        "model ", Quoted(expected.model()),
        " is no later stage of a pipeline here: ", target.role == nullptr ? "it is a whole model" : "it is stage 0"));
  }
  const ModelInterface* end = &target.model->interface();
  *welcome.mutable_identity() = IdentityOf(end->name, target.role->info, target.role->info.index, *target.role->input);
  BITSTAGE_RETURN_IF_ERROR(CheckIdentity(expected, welcome.identity()));
  std::shared_ptr<const PipelineEnd> behind;
  if (target.role->next != nullptr) {
    BITSTAGE_ASSIGN_OR_RETURN(behind, target.role->next->End());
    end = &behind->interface;
  }
  for (const TensorSpec& spec : end->outputs) Describe(spec, *welcome.add_outputs());
  for (const std::string& label : end->labels) welcome.add_labels(label);
  target.max_batch = end->max_batch;
  welcome.set_max_batch(end->max_batch);
  welcome.set_max_message_bytes(context().max_message_bytes);
  return target;
}

void StageService::Stream::Infer(v1::StageInfer infer) {
  const Clock& clock = context().clock;
  // What is further away than this is no deadline; and no sum overflows.
  constexpr int64_t kYear = int64_t{365} * 24 * 3600 * 1'000'000;
  const int64_t remaining = infer.remaining_us();
  const auto deadline = remaining <= 0 || remaining > kYear ? Clock::TimePoint::max()
                                                            : clock.Now() + std::chrono::microseconds(remaining);
  Active active{std::make_shared<RequestState>(clock, deadline), 0};
  if (target_->role->next != nullptr) active.forward_id = target_->role->next->NewId();
  const uint64_t id = infer.id();
  bool draining = false;
  {
    const MutexLock lock(mutex_);
    // A second request of an id that runs gets no answer of its own: ids are the caller's to keep apart.
    if (end_ || !active_.emplace(id, active).second) return;
    draining = draining_;
  }
  (new StageJob(shared_from_this(), *target_, std::move(infer), active.state, active.forward_id))
      ->Start(draining ? absl::UnavailableError("the server is shutting down") : absl::OkStatus());
}

void StageService::Stream::Cancel(uint64_t id) {
  std::map<uint64_t, Active> cancelled;
  {
    const MutexLock lock(mutex_);
    const auto found = active_.find(id);
    if (found == active_.end()) return;
    cancelled.insert(*found);
  }
  CancelAll(cancelled);
}

void StageService::Stream::CancelAll(const std::map<uint64_t, Active>& active) const {
  for (const auto& [id, request] : active) {
    request.state->Cancel();
    if (request.forward_id != 0) target_->role->next->Cancel(request.forward_id);
  }
}

void StageService::Stream::End(const absl::Status& status) {
  std::map<uint64_t, Active> active;
  {
    const MutexLock lock(mutex_);
    if (!end_) end_ = status;
    active.swap(active_);
    Advance();
  }
  CancelAll(active);
}

void StageService::Stream::Drain() {
  const MutexLock lock(mutex_);
  draining_ = true;
  Advance();
}

void StageService::Stream::Answer(v1::StageResult result) {
  const MutexLock lock(mutex_);
  if (active_.erase(result.id()) == 0) return;
  *queue_.emplace_back().mutable_result() = std::move(result);
  Advance();
}

void StageService::Stream::OnWriteDone(bool ok) {
  const MutexLock lock(mutex_);
  writing_ = false;
  if (!ok && !end_) end_ = absl::CancelledError("the stage before went away");
  Advance();
}

void StageService::Stream::Advance() {
  if (writing_ || finished_) return;
  if (draining_ && !end_ && active_.empty() && queue_.empty()) {
    end_ = absl::UnavailableError("the server is shutting down");
  }
  if (end_) {
    finished_ = true;
    Finish(StreamStatus(*end_));
  } else if (!queue_.empty()) {
    writing_ = true;
    response_ = std::move(queue_.front());
    queue_.pop_front();
    StartWrite(&response_);
  }
}

void StageService::Stream::OnDone() {
  service_.Forget(this);
  const std::shared_ptr<Stream> last = std::move(self_);
}

}  // namespace bitstage::server
