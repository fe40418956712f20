// PendingRequests: what was sent to the next stage and is not answered yet. The bookkeeping of a multiplexed stream,
// without the stream.
//
//   const uint64_t id = pending.NewId();
//   BITSTAGE_RETURN_IF_ERROR(pending.Add(id, frame.size(), state, [](absl::StatusOr<StageAnswer> answer) { … }));
//   … send; then exactly one of Finish(id, …), Cancel(id, …) and Close(…) calls what was added.
//
// Thread-safe. Callbacks run on the thread that ends the request, without a lock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/mutex.h"
#include "server/scheduling/request_state.h"
#include "server/scheduling/work_queue.h"

namespace bitstage::server {

struct StageAnswer {
  std::vector<std::string> outputs;     // of the whole pipeline: raw, the batch outermost
  std::chrono::nanoseconds elapsed{0};  // at the next stage and behind it
};

class PendingRequests {
 public:
  using Done = std::function<void(absl::StatusOr<StageAnswer>)>;

  // Closed at first, with `reason` (not OK).
  PendingRequests(QueueLimits limits, absl::Status reason) : limits_(limits), closed_(std::move(reason)) {}

  // Never 0, never the same twice. Known before Add, so that whoever cancels needs no lock shared with whoever sends.
  uint64_t NewId() { return ++last_id_; }

  void Open();
  // Ends everything with `reason` (not OK) and refuses what comes with it.
  void Close(const absl::Status& reason);

  // Unless OK, `done` is dropped and never called: what Close was told, what `state` says (so that a Cancel that came
  // before Add is not lost), RESOURCE_EXHAUSTED where `limits` are reached.
  absl::Status Add(uint64_t id, int64_t bytes, std::shared_ptr<RequestState> state, Done done);

  // False where nobody waits for `id` (any more).
  bool Finish(uint64_t id, absl::StatusOr<StageAnswer> answer);
  // What `state` of the request says, or CANCELLED. False as with Finish.
  bool Cancel(uint64_t id);

  [[nodiscard]] bool Contains(uint64_t id) const;

 private:
  struct Request {
    int64_t bytes = 0;
    std::shared_ptr<RequestState> state;
    Done done;
  };
  // Empty `done` where there is none.
  Request Take(uint64_t id);

  const QueueLimits limits_;
  std::atomic<uint64_t> last_id_ = 0;
  mutable Mutex mutex_;
  absl::Status closed_ BITSTAGE_GUARDED_BY(mutex_);
  int64_t bytes_ BITSTAGE_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, Request> requests_ BITSTAGE_GUARDED_BY(mutex_);
};

}  // namespace bitstage::server
