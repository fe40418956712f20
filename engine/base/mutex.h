// Mutex, MutexLock and CondVar: std::mutex and std::condition_variable with the annotations that clang's
// -Wthread-safety checks. Guarded members say BITSTAGE_GUARDED_BY(mutex_). (absl::Mutex hides its locks from the thread
// sanitizer.)
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define BITSTAGE_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define BITSTAGE_THREAD_ANNOTATION(x)
#endif
#define BITSTAGE_GUARDED_BY(x) BITSTAGE_THREAD_ANNOTATION(guarded_by(x))
#define BITSTAGE_REQUIRES(x) BITSTAGE_THREAD_ANNOTATION(requires_capability(x))
#define BITSTAGE_EXCLUDES(x) BITSTAGE_THREAD_ANNOTATION(locks_excluded(x))

namespace bitstage {

class BITSTAGE_THREAD_ANNOTATION(capability("mutex")) Mutex {
 public:
  void Lock() BITSTAGE_THREAD_ANNOTATION(acquire_capability()) { mutex_.lock(); }
  void Unlock() BITSTAGE_THREAD_ANNOTATION(release_capability()) { mutex_.unlock(); }
  bool TryLock() BITSTAGE_THREAD_ANNOTATION(try_acquire_capability(true)) { return mutex_.try_lock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class BITSTAGE_THREAD_ANNOTATION(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) BITSTAGE_THREAD_ANNOTATION(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.Lock();
  }
  ~MutexLock() BITSTAGE_THREAD_ANNOTATION(release_capability()) { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class CondVar {
 public:
  // Requires the lock; as with any condition variable, re-check the condition in a loop.
  void Wait(Mutex& mutex) BITSTAGE_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False where `deadline` passed.
  bool WaitUntil(Mutex& mutex, std::chrono::steady_clock::time_point deadline) BITSTAGE_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool signalled = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return signalled;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace bitstage
