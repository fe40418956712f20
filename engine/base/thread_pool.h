// ThreadPool: a fixed set of workers that share the chunks of one loop.
//
//   pool.ParallelFor(rows, /*grain=*/4, [&](int64_t begin, int64_t end, int worker) { … });
//
// The calling thread takes part (worker 0); chunks are claimed with an atomic; idle workers spin for some microseconds
// and then sleep, and a worker that the system gives no CPU is not waited for. Workers, and callers that share a loop,
// ask the system for short turns (engine/base/short_turns.h). Thread-safe: a loop that is begun while another is under
// way, by another caller or within a body, runs alone on its caller, as worker 0 too. So give a body scratch by caller,
// not by worker alone.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"

namespace bitstage {

class ThreadPool {
 public:
  // threads >= 1, the caller's included: 1 starts none.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const { return threads_; }

  // body(begin, end, worker) over [0, count) in chunks of `grain` (the last may be shorter), or in one piece where
  // nobody shares the loop; worker < threads(). Returns when all are done, and what the bodies wrote is visible to the
  // caller.
  void ParallelFor(int64_t count, int64_t grain, absl::FunctionRef<void(int64_t, int64_t, int)> body);

 private:
  class Workers;
  int threads_;
  std::unique_ptr<Workers> workers_;
};

// The same on `pool`, or where that is null on the caller, in one piece, as worker 0.
inline void ParallelFor(ThreadPool* pool, int64_t count, int64_t grain,
                        absl::FunctionRef<void(int64_t, int64_t, int)> body) {
  if (pool == nullptr) return body(0, count, 0);
  pool->ParallelFor(count, grain, body);
}

// CPUs this process may use: the affinity mask, lowered to the cgroup's quota (v1 and v2), at least 1.
int AvailableCpus();

}  // namespace bitstage
