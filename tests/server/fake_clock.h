// A clock that goes when it is told to.
#pragma once

#include <atomic>

#include "server/scheduling/clock.h"

namespace bitstage::server {

class FakeClock : public Clock {
 public:
  [[nodiscard]] TimePoint Now() const override { return TimePoint(std::chrono::nanoseconds(nanoseconds_.load())); }
  void Advance(std::chrono::nanoseconds duration) { nanoseconds_ += duration.count(); }

 private:
  std::atomic<int64_t> nanoseconds_ = 1'000'000'000;
};

}  // namespace bitstage::server
