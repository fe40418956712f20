#include "engine/base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"

namespace bitstage {
namespace {

// How often an idle worker looks for a new loop before it sleeps: some microseconds, the gap between two layers.
constexpr int kSpins = 2000;

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

// One loop at a time: `generation_` counts loops, `pending_` the workers that have not left the current one.
class ThreadPool::Workers {
 public:
  explicit Workers(int count) {
    threads_.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, i] { Work(i + 1); });
  }

  ~Workers() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.NotifyAll();
    for (std::thread& thread : threads_) thread.join();
  }

  // False, doing nothing, where another loop is under way.
  bool TryRun(int64_t count, int64_t grain, absl::FunctionRef<void(int64_t, int64_t, int)> body) {
    if (!busy_.TryLock()) return false;
    Loop loop{count, grain, body};
    {
      MutexLock lock(mutex_);
      loop_ = &loop;
      pending_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.NotifyAll();
    loop.Share(0);
    // The workers hold a pointer to `loop` on this stack: wait until the last has left it.
    for (int spin = 0; pending_.load(std::memory_order_acquire) != 0; ++spin) {
      if (spin < kSpins) {
        Pause();
      } else {
        std::this_thread::yield();
      }
    }
    busy_.Unlock();
    return true;
  }

 private:
  struct Loop {
    int64_t count;
    int64_t grain;
    absl::FunctionRef<void(int64_t, int64_t, int)> body;
    std::atomic<int64_t> next{0};

    void Share(int worker) {
      for (;;) {
        const int64_t begin = next.fetch_add(grain, std::memory_order_relaxed);
        if (begin >= count) return;
        body(begin, std::min(begin + grain, count), worker);
      }
    }
  };

  void Work(int worker) {
    uint64_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && generation_.load(std::memory_order_acquire) == seen; ++spin) Pause();
      Loop* loop = nullptr;
      {
        MutexLock lock(mutex_);
        while (generation_.load(std::memory_order_acquire) == seen) wake_.Wait(mutex_);
        if (stopping_) return;
        seen = generation_.load(std::memory_order_acquire);
        loop = loop_;
      }
      loop->Share(worker);
      pending_.fetch_sub(1, std::memory_order_release);
    }
  }

  Mutex busy_;
  Mutex mutex_;
  CondVar wake_;
  Loop* loop_ BITSTAGE_GUARDED_BY(mutex_) = nullptr;
  bool stopping_ BITSTAGE_GUARDED_BY(mutex_) = false;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> pending_{0};
  std::vector<std::thread> threads_;
};

ThreadPool::ThreadPool(int threads)
    : threads_(std::max(1, threads)), workers_(threads_ > 1 ? std::make_unique<Workers>(threads_ - 1) : nullptr) {}

ThreadPool::~ThreadPool() = default;

void ThreadPool::ParallelFor(int64_t count, int64_t grain, absl::FunctionRef<void(int64_t, int64_t, int)> body) {
  if (count <= 0) return;
  grain = std::max<int64_t>(1, grain);
  if (workers_ == nullptr || count <= grain || !workers_->TryRun(count, grain, body)) body(0, count, 0);
}

}  // namespace bitstage
