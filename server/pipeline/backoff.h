// Backoff: when to try again what failed. Each failure in a row doubles the delay; success sets it back.
//
// Not thread-safe.
#pragma once

#include <algorithm>
#include <chrono>

#include "server/scheduling/clock.h"

namespace bitstage::server {

class Backoff {
 public:
  // Requires 0 < least <= most. The first attempt is due at once.
  Backoff(const Clock& clock, std::chrono::milliseconds least, std::chrono::milliseconds most)
      : clock_(clock), least_(least), most_(most), delay_(least), next_(clock.Now()) {}

  [[nodiscard]] Clock::TimePoint next() const { return next_; }

  void Failed() {
    next_ = clock_.Now() + delay_;
    delay_ = std::min(most_, 2 * delay_);
  }
  // What had succeeded came to its end.
  void Ended() {
    delay_ = least_;
    Failed();
  }

 private:
  const Clock& clock_;
  const std::chrono::milliseconds least_;
  const std::chrono::milliseconds most_;
  std::chrono::milliseconds delay_;
  Clock::TimePoint next_;
};

}  // namespace bitstage::server
