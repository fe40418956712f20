// Scheduler: a WorkQueue and the threads that work it off.
//
// Thread-safe. Destroy it only after everything that may Submit is gone.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "server/scheduling/work_queue.h"

namespace bitstage::server {

class Scheduler {
 public:
  // workers >= 1: how many jobs run at once.
  Scheduler(int workers, QueueLimits limits, WorkQueue::Observer observer = {});
  // Aborts what is left.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // As WorkQueue::Push: unless OK, the job was not taken.
  absl::Status Submit(Job* job) { return queue_.Push(job); }

  // What waits is dropped, what runs is told to stop at its next check, what comes is refused: all with UNAVAILABLE.
  void Abort();

 private:
  void Work(size_t worker);

  WorkQueue queue_;
  Mutex mutex_;
  bool aborted_ BITSTAGE_GUARDED_BY(mutex_) = false;
  std::vector<std::shared_ptr<RequestState>> running_ BITSTAGE_GUARDED_BY(mutex_);  // by worker; null when idle
  std::vector<std::thread> threads_;
};

}  // namespace bitstage::server
