// RequestState: whether anybody still waits for a request. Shared by who received it, the queue, and who runs it.
//
// Thread-safe. The clock must outlive it.
#pragma once

#include <atomic>

#include "absl/status/status.h"
#include "server/scheduling/clock.h"

namespace bitstage::server {

class RequestState {
 public:
  // `deadline` may be Clock::TimePoint::max().
  RequestState(const Clock& clock, Clock::TimePoint deadline) : clock_(clock), deadline_(deadline) {}

  // The client went away.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  [[nodiscard]] Clock::TimePoint deadline() const { return deadline_; }

  // The server ends before the request does.
  void Abort() { aborted_.store(true, std::memory_order_relaxed); }

  // OK while the request is worth working for; UNAVAILABLE, DEADLINE_EXCEEDED or CANCELLED once it is not
  // (in this order: the transport cancels, too, when a deadline passes).
  [[nodiscard]] absl::Status Check() const {
    if (aborted_.load(std::memory_order_relaxed)) return absl::UnavailableError("the server is shutting down");
    if (deadline_ != Clock::TimePoint::max() && clock_.Now() >= deadline_) {
      return absl::DeadlineExceededError("the request's deadline passed");
    }
    if (cancelled_.load(std::memory_order_relaxed)) return absl::CancelledError("the request was cancelled");
    return absl::OkStatus();
  }

 private:
  const Clock& clock_;
  const Clock::TimePoint deadline_;
  std::atomic<bool> cancelled_ = false;
  std::atomic<bool> aborted_ = false;
};

}  // namespace bitstage::server
