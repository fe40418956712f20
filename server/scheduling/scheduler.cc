#include "server/scheduling/scheduler.h"

namespace bitstage::server {

Scheduler::Scheduler(int workers, QueueLimits limits, WorkQueue::Observer observer)
    : queue_(limits, std::move(observer)), running_(static_cast<size_t>(workers)) {
  for (size_t worker = 0; worker < static_cast<size_t>(workers); ++worker) {
    threads_.emplace_back([this, worker] { Work(worker); });
  }
}

Scheduler::~Scheduler() {
  Abort();
  for (std::thread& thread : threads_) thread.join();
}

void Scheduler::Abort() {
  queue_.Close(absl::UnavailableError("the server is shutting down"));
  const MutexLock lock(mutex_);
  aborted_ = true;
  for (const std::shared_ptr<RequestState>& state : running_) {
    if (state != nullptr) state->Abort();
  }
}

void Scheduler::Work(size_t worker) {
  while (Job* job = queue_.Pop()) {
    {
      const MutexLock lock(mutex_);
      running_[worker] = job->state();
      if (aborted_) job->state()->Abort();
    }
    job->Run();
    const MutexLock lock(mutex_);
    running_[worker] = nullptr;
  }
}

}  // namespace bitstage::server
