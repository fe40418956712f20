// StageLink: from one stage of a model to the next. Keeps one stream up, sends boundary codes over it, hands the final
// outputs back, and knows whether the rest of the pipeline can be reached.
//
//   StageLink link(options, boundary, GrpcStageStreams(address), clock, metrics, observer);
//   const uint64_t id = link.NewId();
//   BITSTAGE_RETURN_IF_ERROR(link.Send(id, batch, codes, state, [](absl::StatusOr<StageAnswer> answer) { … }));
//   … link.Cancel(id); …
//   link.Stop();
//
// While the stream is down every request is refused at once with UNAVAILABLE, and whatever was under way ends with it;
// a thread of the link tries again with a growing delay. Errors name the stage and its address. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "engine/base/mutex.h"
#include "engine/codec/boundary.h"
#include "server/observability/metrics.h"
#include "server/pipeline/backoff.h"
#include "server/pipeline/pending_requests.h"
#include "server/pipeline/stage_stream.h"
#include "server/repository/model_interface.h"

namespace bitstage::server {

// What lies behind a link: learned from the next stage, which learned it from its own.
struct PipelineEnd {
  ModelInterface interface;       // of all stages together: the inputs of this one, the outputs and labels of the last
  int64_t max_message_bytes = 0;  // that the next stage reads
};

class StageLink final : private StageStream::Listener {
 public:
  struct Options {
    std::string address;       // of the next stage, as errors show it
    v1::StageIdentity next;    // whom we expect there
    ModelInterface interface;  // of this stage
    QueueLimits limits;        // of what is sent and not answered
    FrameCoding coding = FrameCoding::kPreferred;
    std::chrono::milliseconds least_delay{50};
    std::chrono::milliseconds most_delay{1000};
    std::chrono::milliseconds handshake_time{5000};
  };
  // Told on the link's thread, without a lock: OK when the stream came up, else why it is down, when that changed.
  using Observer = std::function<void(const absl::Status& state)>;

  // Begins to connect at once. `clock` (one that goes by itself) and `metrics` outlive the link; so does what
  // `observer` uses.
  StageLink(Options options, FrameBoundary boundary, StageStreamFactory streams, const Clock& clock,
            StageMetrics& metrics, Observer observer);
  // Stops.
  ~StageLink() override;

  [[nodiscard]] const FrameBoundary& boundary() const { return boundary_; }

  // UNAVAILABLE while the next stage cannot be reached, FAILED_PRECONDITION where what is there is another stage.
  absl::StatusOr<std::shared_ptr<const PipelineEnd>> End() const;

  uint64_t NewId() { return pending_.NewId(); }

  // codes: batch · boundary().image_elements(). `done` is called exactly once, on any thread, perhaps before Send
  // returns; unless OK, never.
  absl::Status Send(uint64_t id, int64_t batch, std::span<const uint8_t> codes, std::shared_ptr<RequestState> state,
                    PendingRequests::Done done);
  // Ends the request here and at the next stage, with what its state says. Nothing where `id` is not under way.
  void Cancel(uint64_t id);

  // Ends everything with UNAVAILABLE, for good. When it returns, no callback runs any more. Not from a callback.
  void Stop();

 private:
  void OnResponse(v1::StageResponse response) override;
  void OnEnd(const absl::Status& status) override;
  bool IsWanted(const v1::StageRequest& request) override;

  absl::Status Welcome(const v1::StageWelcome& welcome);
  void Deliver(v1::StageResult result);
  [[nodiscard]] absl::Status Named(const absl::Status& status) const;

  void KeepConnected();
  void Announce(const absl::Status& state) BITSTAGE_REQUIRES(mutex_);
  void RunStream() BITSTAGE_REQUIRES(mutex_);

  const Options options_;
  const FrameBoundary boundary_;
  const StageStreamFactory streams_;
  const Clock& clock_;
  StageMetrics& metrics_;
  const Observer observer_;
  PendingRequests pending_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool stopping_ BITSTAGE_GUARDED_BY(mutex_) = false;
  bool stream_ended_ BITSTAGE_GUARDED_BY(mutex_) = true;
  absl::Status state_ BITSTAGE_GUARDED_BY(mutex_);    // OK: up
  absl::Status refusal_ BITSTAGE_GUARDED_BY(mutex_);  // why this end ended the stream
  std::optional<absl::Status> announced_ BITSTAGE_GUARDED_BY(mutex_);
  std::shared_ptr<StageStream> stream_ BITSTAGE_GUARDED_BY(mutex_);
  std::shared_ptr<const PipelineEnd> end_ BITSTAGE_GUARDED_BY(mutex_);  // of this stream or an earlier one
  Backoff backoff_ BITSTAGE_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace bitstage::server
