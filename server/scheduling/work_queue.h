// WorkQueue: jobs that wait for a worker, in one bounded lane a model, first in first out within a lane, the lanes in
// turn: a busy model cannot starve another.
//
// A job is admitted by the size of its request as it arrived (compressed images, not pixels), so that what waits is
// bounded in bytes. A job that nobody waits for any more (cancelled, deadline passed) is dropped when its turn comes,
// or earlier when its place is needed.
//
// Thread-safe. Jobs are borrowed: exactly one of Run (by who popped it) and Drop is called on every job that Push took,
// and the queue does not touch the job after that.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "engine/base/mutex.h"
#include "server/scheduling/request_state.h"

namespace bitstage::server {

class Job {
 public:
  // `lane`: the model's name; `bytes`: what the request holds while it waits.
  Job(std::string lane, int64_t bytes, std::shared_ptr<RequestState> state)
      : lane_(std::move(lane)), bytes_(bytes), state_(std::move(state)) {}
  virtual ~Job() = default;

  // On a worker thread. The job may cease to exist before Run returns.
  virtual void Run() = 0;
  // In place of Run, on any thread; `reason` is not OK.
  virtual void Drop(const absl::Status& reason) = 0;

  [[nodiscard]] const std::string& lane() const { return lane_; }
  [[nodiscard]] int64_t bytes() const { return bytes_; }
  [[nodiscard]] const std::shared_ptr<RequestState>& state() const { return state_; }

 private:
  const std::string lane_;
  const int64_t bytes_;
  const std::shared_ptr<RequestState> state_;
};

// Limits of one lane.
struct QueueLimits {
  int64_t requests = 256;
  int64_t bytes = int64_t{256} << 20;
};

class WorkQueue {
 public:
  // Told the fill of a lane whenever it changes, one call at a time; must not call back.
  using Observer = std::function<void(absl::string_view lane, int64_t requests, int64_t bytes)>;

  explicit WorkQueue(QueueLimits limits, Observer observer = {}) : limits_(limits), observer_(std::move(observer)) {}

  // RESOURCE_EXHAUSTED when the lane is full, what Close was told after it; then the job was not taken.
  absl::Status Push(Job* job);

  // Waits for a live job; null when the queue is closed.
  Job* Pop();

  // Drops what waits and refuses what comes, with `reason` (not OK).
  void Close(const absl::Status& reason);

 private:
  struct Lane {
    std::string name;
    std::deque<Job*> jobs;
    int64_t bytes = 0;
  };
  using Dead = std::vector<std::pair<Job*, absl::Status>>;

  Lane& LaneOf(const std::string& name) BITSTAGE_REQUIRES(mutex_);
  Job* TakeLive(Dead& dead) BITSTAGE_REQUIRES(mutex_);
  void Sweep(Lane& lane, Dead& dead) BITSTAGE_REQUIRES(mutex_);
  void Report(const Lane& lane) BITSTAGE_REQUIRES(mutex_);

  const QueueLimits limits_;
  const Observer observer_;
  Mutex mutex_;
  CondVar filled_;
  std::list<Lane> lanes_ BITSTAGE_GUARDED_BY(mutex_);  // those that hold jobs, the next in turn first
  absl::Status closed_ BITSTAGE_GUARDED_BY(mutex_);    // not OK once closed
};

}  // namespace bitstage::server
