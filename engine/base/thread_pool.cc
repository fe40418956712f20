#include "engine/base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"
#include "engine/base/short_turns.h"

namespace bitstage {
namespace {

// How long an idle worker looks for a new loop before it sleeps: longer than the gap between two layers.
constexpr std::chrono::microseconds kSpinTime{20};

inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

// One loop at a time. A worker takes part only if it comes while the loop is open, and the caller waits only for those
// that came: a worker whose core is busy with something else holds nobody up.
class ThreadPool::Workers {
 public:
  explicit Workers(int count) {
    threads_.reserve(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, i] { Work(i + 1); });
  }

  ~Workers() {
    state_.store(kStop, std::memory_order_release);
    Wake(static_cast<int64_t>(threads_.size()));
    for (std::thread& thread : threads_) thread.join();
  }

  // False, doing nothing, where another loop is under way.
  bool TryRun(int64_t count, int64_t grain, absl::FunctionRef<void(int64_t, int64_t, int)> body) {
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    PreferShortTurns();
    Loop loop{count, grain, body};
    loop_ = &loop;
    state_.store((NumberOf(state_.load(std::memory_order_relaxed)) + 1) * kNumber | kOpen, std::memory_order_release);
    Wake((count - 1) / grain);
    loop.Share(0);
    state_.fetch_and(~kOpen, std::memory_order_relaxed);
    AwaitWorkers();
    busy_.store(false, std::memory_order_release);
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

  // state_: how many workers are in the loop, whether the caller sleeps until they are done, whether more may come, and
  // the loop's number.
  static constexpr uint64_t kWorkers = 0x7fff;
  static constexpr uint64_t kAwaited = 0x8000;
  static constexpr uint64_t kOpen = 0x10000;
  static constexpr uint64_t kNumber = 0x20000;
  static constexpr uint64_t kStop = ~uint64_t{0} & ~kOpen;
  static uint64_t NumberOf(uint64_t state) { return state / kNumber; }

  void Wake(int64_t workers) {
    int64_t sleeping = 0;
    {
      // A worker tests state_ under this lock before it sleeps: it has seen the change, or is counted here.
      MutexLock lock(mutex_);
      sleeping = sleeping_;
    }
    for (int64_t i = 0; i < std::min(workers, sleeping); ++i) wake_.NotifyOne();
  }

  // Those who came hold a pointer to the loop on the caller's stack, and each is at its last chunk. One that the system
  // took off its CPU there may be long: no spinning then, which would keep others off ours, the worker perhaps.
  void AwaitWorkers() {
    const auto spin_end = std::chrono::steady_clock::now() + kSpinTime;
    do {
      if ((state_.load(std::memory_order_acquire) & kWorkers) == 0) return;
      Pause();
    } while (std::chrono::steady_clock::now() < spin_end);
    MutexLock lock(mutex_);
    // The last worker sees kAwaited as it leaves, or has left before.
    uint64_t state = state_.fetch_or(kAwaited, std::memory_order_acquire);
    while ((state & kWorkers) != 0) {
      done_.Wait(mutex_);
      state = state_.load(std::memory_order_acquire);
    }
    state_.fetch_and(~kAwaited, std::memory_order_relaxed);
  }

  void Leave() {
    const uint64_t before = state_.fetch_sub(1, std::memory_order_acq_rel);
    if ((before & kAwaited) == 0 || (before & kWorkers) != 1) return;
    MutexLock lock(mutex_);
    done_.NotifyOne();
  }

  // The state once it is about another loop than `seen`.
  uint64_t AwaitChange(uint64_t seen) {
    const auto spin_end = std::chrono::steady_clock::now() + kSpinTime;
    do {
      const uint64_t state = state_.load(std::memory_order_acquire);
      if (NumberOf(state) != seen) return state;
      Pause();
    } while (std::chrono::steady_clock::now() < spin_end);
    MutexLock lock(mutex_);
    ++sleeping_;
    uint64_t state = state_.load(std::memory_order_acquire);
    while (NumberOf(state) == seen) {
      wake_.Wait(mutex_);
      state = state_.load(std::memory_order_acquire);
    }
    --sleeping_;
    return state;
  }

  // Enters the loop of `state`, unless it has closed.
  bool TryEnter(uint64_t state) {
    const uint64_t number = NumberOf(state);
    while ((state & kOpen) != 0 && NumberOf(state) == number) {
      if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acquire)) return true;
    }
    return false;
  }

  void Work(int worker) {
    PreferShortTurns();
    uint64_t seen = 0;
    for (;;) {
      const uint64_t state = AwaitChange(seen);
      if (state == kStop) return;
      seen = NumberOf(state);
      if (!TryEnter(state)) continue;
      loop_->Share(worker);
      Leave();
    }
  }

  std::atomic<bool> busy_{false};
  std::atomic<uint64_t> state_{0};
  Loop* loop_ = nullptr;  // written before state_ opens the loop, read after entering it
  Mutex mutex_;
  CondVar wake_;
  CondVar done_;
  int64_t sleeping_ BITSTAGE_GUARDED_BY(mutex_) = 0;
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
