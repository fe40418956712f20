// A job that remembers what became of it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/base/mutex.h"
#include "server/scheduling/work_queue.h"

namespace bitstage::server {

class FakeJob : public Job {
 public:
  FakeJob(std::string lane, const Clock& clock, Clock::TimePoint deadline = Clock::TimePoint::max(), int64_t bytes = 1)
      : Job(std::move(lane), bytes, std::make_shared<RequestState>(clock, deadline)) {}

  // What Run does before it ends.
  void OnRun(std::function<void()> body) { body_ = std::move(body); }

  void Run() override {
    if (body_) body_();
    End(state()->Check());
  }
  void Drop(const absl::Status& reason) override { End(reason); }

  // How it ended; waits for it.
  absl::Status WaitForEnd() {
    const MutexLock lock(mutex_);
    while (!end_) ended_.Wait(mutex_);
    return Copy(*end_);
  }
  std::optional<absl::Status> end() {
    const MutexLock lock(mutex_);
    return end_ ? std::optional(Copy(*end_)) : std::nullopt;
  }
  int times_ended() {
    const MutexLock lock(mutex_);
    return times_ended_;
  }

 private:
  // Not shared between threads: Abseil counts references in a library that the thread sanitizer cannot see into.
  static absl::Status Copy(const absl::Status& status) { return absl::Status(status.code(), status.message()); }

  void End(const absl::Status& status) {
    const MutexLock lock(mutex_);
    ++times_ended_;
    end_ = Copy(status);
    ended_.NotifyAll();
  }

  std::function<void()> body_;
  Mutex mutex_;
  CondVar ended_;
  std::optional<absl::Status> end_ BITSTAGE_GUARDED_BY(mutex_);
  int times_ended_ BITSTAGE_GUARDED_BY(mutex_) = 0;
};

// Opens once, for everyone who waits.
class Gate {
 public:
  void Open() {
    const MutexLock lock(mutex_);
    open_ = true;
    opened_.NotifyAll();
  }
  void Wait() {
    const MutexLock lock(mutex_);
    while (!open_) opened_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar opened_;
  bool open_ BITSTAGE_GUARDED_BY(mutex_) = false;
};

}  // namespace bitstage::server
