// A stream to a next stage that the test plays. Every stream has a thread that delivers its end, as gRPC would.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"
#include "server/pipeline/stage_stream.h"

namespace bitstage::server {

class FakeStageStream final : public StageStream {
 public:
  explicit FakeStageStream(Listener* listener) : listener_(listener) {}
  ~FakeStageStream() override {
    if (thread_.joinable()) thread_.join();
  }

  void Start() override {
    const MutexLock lock(mutex_);
    started_ = true;
    changed_.NotifyAll();
    thread_ = std::thread([this] {
      absl::Status end;
      {
        const MutexLock end_lock(mutex_);
        while (!ended_) changed_.Wait(mutex_);
        end = end_status_;
      }
      listener_->OnEnd(end);
    });
  }
  void Write(v1::StageRequest request) override {
    const MutexLock lock(mutex_);
    if (ended_) return;
    written_.push_back(std::move(request));
    changed_.NotifyAll();
  }
  void Cancel() override { End(absl::CancelledError("cancelled here")); }

  void End(const absl::Status& status) {
    const MutexLock lock(mutex_);
    if (ended_) return;
    ended_ = true;
    end_status_ = status;
    changed_.NotifyAll();
  }
  void Respond(v1::StageResponse response) { listener_->OnResponse(std::move(response)); }

  // The message written as number `index`, the hello being 0; waits for it and for the start.
  v1::StageRequest Written(size_t index) {
    const MutexLock lock(mutex_);
    while (!started_ || written_.size() <= index) changed_.Wait(mutex_);
    return written_[index];
  }

 private:
  Listener* const listener_;
  Mutex mutex_;
  CondVar changed_;
  bool started_ BITSTAGE_GUARDED_BY(mutex_) = false;
  bool ended_ BITSTAGE_GUARDED_BY(mutex_) = false;
  absl::Status end_status_ BITSTAGE_GUARDED_BY(mutex_);
  std::vector<v1::StageRequest> written_ BITSTAGE_GUARDED_BY(mutex_);
  std::thread thread_;
};

// Things that arrive on other threads, in order.
template <typename T>
class Mailbox {
 public:
  void Put(T thing) {
    const MutexLock lock(mutex_);
    things_.push_back(std::move(thing));
    arrived_.NotifyAll();
  }
  // Thing number `index`; waits for it.
  T At(size_t index) {
    const MutexLock lock(mutex_);
    while (things_.size() <= index) arrived_.Wait(mutex_);
    return things_[index];
  }

 private:
  Mutex mutex_;
  CondVar arrived_;
  std::vector<T> things_ BITSTAGE_GUARDED_BY(mutex_);
};

}  // namespace bitstage::server
