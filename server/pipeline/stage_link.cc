#include "server/pipeline/stage_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/codec/frame.h"
#include "server/observability/text.h"
#include "server/pipeline/stage_boundary.h"

namespace bitstage::server {
namespace {

constexpr int64_t kEnvelopeBytes = 64;               // of a StageRequest around its frame, at most
constexpr int64_t kMostElements = int64_t{1} << 40;  // of an output of one image
constexpr int64_t kMostImages = int64_t{1} << 16;    // of a batch: no size of an answer overflows
constexpr char kNotConnected[] = "not connected yet";
constexpr char kStopping[] = "the server is shutting down";

absl::Status StatusOf(const v1::StageResult& result) {
  const bool known = result.code() >= 0 && result.code() <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return absl::Status(known ? static_cast<absl::StatusCode>(result.code()) : absl::StatusCode::kInternal,
                      result.message());
}

absl::StatusOr<TensorSpec> SpecOf(const v1::StageTensor& tensor) {
  TensorSpec spec{tensor.name(), DataType::kFloat32, Shape(tensor.shape().begin(), tensor.shape().end())};
  for (const DataType type :
       {DataType::kFloat32, DataType::kInt64, DataType::kInt32, DataType::kUInt8, DataType::kInt8, DataType::kBool}) {
    if (tensor.datatype() != std::string(Name(type))) continue;
    spec.type = type;
    if (spec.shape.rank() <= kMaxRank && spec.shape.CheckedElements().value_or(kMostElements) < kMostElements) {
      return spec;
    }
  }
  return absl::InternalError(absl::StrCat("its output ", Quoted(tensor.name()), " is ", Quoted(tensor.datatype()), " ",
                                          spec.shape.ToString()));
}

absl::Status CheckAnswer(const StageAnswer& answer, const std::vector<TensorSpec>& outputs, int64_t batch) {
  if (answer.outputs.size() != outputs.size()) {
    return absl::InternalError(
        absl::StrCat("answered with ", answer.outputs.size(), " outputs, expected ", outputs.size()));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const TensorSpec& spec = outputs[i];
    const int64_t expected = batch * spec.shape.elements() * static_cast<int64_t>(SizeOf(spec.type));
    if (static_cast<int64_t>(answer.outputs[i].size()) == expected) continue;
    return absl::InternalError(absl::StrCat("answered with ", answer.outputs[i].size(), " bytes for output ",
                                            Quoted(spec.name), ", expected ", expected));
  }
  return absl::OkStatus();
}

}  // namespace

StageLink::StageLink(Options options, FrameBoundary boundary, StageStreamFactory streams, const Clock& clock,
                     StageMetrics& metrics, Observer observer)
    : options_(std::move(options)),
      boundary_(std::move(boundary)),
      streams_(std::move(streams)),
      clock_(clock),
      metrics_(metrics),
      observer_(std::move(observer)),
      pending_(options_.limits, Named(absl::UnavailableError(kNotConnected))),
      state_(Named(absl::UnavailableError(kNotConnected))),
      backoff_(clock, options_.least_delay, options_.most_delay),
      thread_([this] { KeepConnected(); }) {}

StageLink::~StageLink() { Stop(); }

absl::Status StageLink::Named(const absl::Status& status) const {
  return absl::Status(status.code(),
                      absl::StrCat("stage ", options_.next.stage(), " at ", options_.address, ": ", status.message()));
}

absl::StatusOr<std::shared_ptr<const PipelineEnd>> StageLink::End() const {
  const MutexLock lock(mutex_);
  BITSTAGE_RETURN_IF_ERROR(state_);
  return end_;
}

absl::Status StageLink::Send(uint64_t id, int64_t batch, std::span<const uint8_t> codes,
                             std::shared_ptr<RequestState> state, PendingRequests::Done done) {
  std::shared_ptr<StageStream> stream;
  std::shared_ptr<const PipelineEnd> end;
  {
    const MutexLock lock(mutex_);
    BITSTAGE_RETURN_IF_ERROR(state_);
    stream = stream_;
    end = end_;
  }
  v1::StageRequest request;
  v1::StageInfer& infer = *request.mutable_infer();
  const Clock::TimePoint begin = clock_.Now();
  BITSTAGE_ASSIGN_OR_RETURN(*infer.mutable_frame(), EncodeFrame(boundary_, batch, codes, {options_.coding}));
  const Clock::TimePoint encoded = clock_.Now();
  metrics_.Observe(StagePhase::kEncode, encoded - begin);
  const auto bytes = static_cast<int64_t>(infer.frame().size());
  if (bytes > end->max_message_bytes - kEnvelopeBytes) {
    return Named(absl::ResourceExhaustedError(absl::StrCat(
        "a frame of ", bytes, " bytes, the stage reads messages of at most ", end->max_message_bytes, " bytes")));
  }
  infer.set_id(id);
  if (state->deadline() != Clock::TimePoint::max()) {
    const auto remaining = std::chrono::duration_cast<std::chrono::microseconds>(state->deadline() - encoded);
    infer.set_remaining_us(std::max<int64_t>(1, remaining.count()));
  }
  const auto deliver = [this, end, batch, encoded, done = std::move(done)](absl::StatusOr<StageAnswer> answer) {
    if (answer.ok()) {
      // The answer tells the other end's time: what remains of ours is the wire's, both ways.
      metrics_.Observe(StagePhase::kWire, clock_.Now() - encoded - answer->elapsed);
      if (absl::Status status = CheckAnswer(*answer, end->interface.outputs, batch); !status.ok())
        answer = Named(status);
    }
    done(std::move(answer));
  };
  BITSTAGE_RETURN_IF_ERROR(pending_.Add(id, bytes, std::move(state), deliver));
  metrics_.CountFrame(Direction::kSent, Name(CodingOf(infer.frame())), bytes, static_cast<int64_t>(codes.size()));
  stream->Write(std::move(request));
  return absl::OkStatus();
}

void StageLink::Cancel(uint64_t id) {
  if (!pending_.Cancel(id)) return;
  const MutexLock lock(mutex_);
  if (stream_ == nullptr) return;
  v1::StageRequest request;
  request.mutable_cancel()->set_id(id);
  stream_->Write(std::move(request));
}

void StageLink::Stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

bool StageLink::IsWanted(const v1::StageRequest& request) {
  return !request.has_infer() || pending_.Contains(request.infer().id());
}

void StageLink::OnResponse(v1::StageResponse response) {
  if (response.has_result()) {
    Deliver(std::move(*response.mutable_result()));
    return;
  }
  absl::Status welcomed =
      response.has_welcome() ? Welcome(response.welcome()) : absl::InternalError("its answer is of an unknown kind");
  const MutexLock lock(mutex_);
  if (stopping_) return;
  if (welcomed.ok()) {
    pending_.Open();
    state_ = absl::OkStatus();
  } else {
    refusal_ = std::move(welcomed);
    stream_->Cancel();
  }
  changed_.NotifyAll();
}

absl::Status StageLink::Welcome(const v1::StageWelcome& welcome) {
  BITSTAGE_RETURN_IF_ERROR(CheckIdentity(options_.next, welcome.identity()));
  auto end = std::make_shared<PipelineEnd>();
  ModelInterface& interface = end->interface;
  interface = options_.interface;
  interface.outputs.clear();
  for (const v1::StageTensor& tensor : welcome.outputs()) {
    BITSTAGE_ASSIGN_OR_RETURN(TensorSpec spec, SpecOf(tensor));
    interface.outputs.push_back(std::move(spec));
  }
  interface.labels.assign(welcome.labels().begin(), welcome.labels().end());
  interface.max_batch = std::min(interface.max_batch, std::clamp<int64_t>(welcome.max_batch(), 1, kMostImages));
  end->max_message_bytes = welcome.max_message_bytes();
  const MutexLock lock(mutex_);
  end_ = std::move(end);
  return absl::OkStatus();
}

void StageLink::Deliver(v1::StageResult result) {
  if (const absl::Status status = StatusOf(result); !status.ok()) {
    pending_.Finish(result.id(), Named(status));
    return;
  }
  StageAnswer answer;
  for (std::string& output : *result.mutable_outputs()) answer.outputs.push_back(std::move(output));
  answer.elapsed = std::chrono::nanoseconds(result.elapsed_ns());
  pending_.Finish(result.id(), std::move(answer));
}

void StageLink::OnEnd(const absl::Status& status) {
  absl::Status reason;
  {
    const MutexLock lock(mutex_);
    const absl::Status& cause = stopping_ ? absl::UnavailableError(kStopping) : refusal_.ok() ? status : refusal_;
    // Whatever ended the stream, to a client it means that the rest of the pipeline is not there; a stage that is not
    // the right one is another matter.
    const bool wrong = absl::IsFailedPrecondition(cause);
    reason = Named(absl::Status(wrong ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kUnavailable,
                                cause.ok() ? "it ended the stream" : cause.message()));
    state_ = reason;
  }
  pending_.Close(reason);
  const MutexLock lock(mutex_);
  stream_ended_ = true;
  changed_.NotifyAll();
}

void StageLink::KeepConnected() {
  mutex_.Lock();
  while (!stopping_) {
    if (clock_.Now() < backoff_.next()) {
      changed_.WaitUntil(mutex_, backoff_.next());
      continue;
    }
    RunStream();
    if (!stopping_) Announce(state_);
  }
  mutex_.Unlock();
  pending_.Close(Named(absl::UnavailableError(kStopping)));
}

void StageLink::Announce(const absl::Status& state) {
  if (announced_ == state) return;
  announced_ = state;
  const absl::Status copy = state;
  mutex_.Unlock();
  observer_(copy);
  mutex_.Lock();
}

// From its start to its end.
void StageLink::RunStream() {
  const std::shared_ptr<StageStream> stream = streams_(this);
  stream_ = stream;
  stream_ended_ = false;
  refusal_ = absl::OkStatus();
  const Clock::TimePoint handshake_deadline = clock_.Now() + options_.handshake_time;
  mutex_.Unlock();
  v1::StageRequest hello;
  *hello.mutable_hello() = options_.next;
  stream->Write(std::move(hello));
  stream->Start();
  mutex_.Lock();

  bool was_up = false;
  bool cancelled = false;
  while (!stream_ended_) {
    const bool up = state_.ok();
    if (up && !was_up && !stopping_) {
      was_up = true;
      Announce(state_);
      continue;
    }
    const bool late = !up && !was_up && clock_.Now() >= handshake_deadline;
    if ((stopping_ || late) && !cancelled) {
      cancelled = true;
      if (late) refusal_ = absl::UnavailableError("it did not answer in time");
      stream->Cancel();
    } else if (up || was_up || cancelled) {
      changed_.Wait(mutex_);
    } else {
      changed_.WaitUntil(mutex_, handshake_deadline);
    }
  }
  stream_ = nullptr;
  if (was_up) {
    backoff_.Ended();
  } else {
    backoff_.Failed();
  }
}

}  // namespace bitstage::server
