// Progress: how far a long loop has come, for a person who waits.
//
//   Progress progress("calibrating", images, Progress::StandardError());
//   for (…) { …; progress.Advance(); }
//
// On a terminal one line that is redrawn, with a bar, percent and the time left:
//   calibrating  [=========>          ]  47%  0:12 left
// elsewhere a plain line at every tenth. Work that ends within `quiet` prints nothing.
// Thread-safe: workers may call Advance at the same time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "absl/strings/string_view.h"
#include "engine/base/mutex.h"

namespace bitstage {

class Progress {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Display {
    std::ostream& out;
    bool is_terminal = false;
    std::function<TimePoint()> now = std::chrono::steady_clock::now;
    std::chrono::milliseconds quiet{1000};
  };
  static Display StandardError();

  // `total` steps of equal effort; out must outlive this.
  Progress(absl::string_view label, int64_t total, Display display);
  // Ends the line on a terminal.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Advance(int64_t steps = 1) BITSTAGE_EXCLUDES(mutex_);

 private:
  void Draw(TimePoint now) BITSTAGE_REQUIRES(mutex_);
  void PrintLine(TimePoint now) BITSTAGE_REQUIRES(mutex_);
  [[nodiscard]] std::string TimeText(TimePoint now) const BITSTAGE_REQUIRES(mutex_);

  const std::string label_;
  const int64_t total_;
  const Display display_;
  const TimePoint start_;
  Mutex mutex_;
  int64_t done_ BITSTAGE_GUARDED_BY(mutex_) = 0;
  int64_t tenths_printed_ BITSTAGE_GUARDED_BY(mutex_) = 0;
  bool is_drawn_ BITSTAGE_GUARDED_BY(mutex_) = false;
  TimePoint last_drawn_ BITSTAGE_GUARDED_BY(mutex_);
};

}  // namespace bitstage
