// Clock: where the server gets the time of deadlines and durations from, so that tests can set it.
#pragma once

#include <chrono>

namespace bitstage::server {

class Clock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint Now() const = 0;
};

// The monotonic clock of the machine.
class SteadyClock : public Clock {
 public:
  [[nodiscard]] TimePoint Now() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace bitstage::server
