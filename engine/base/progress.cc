#include "engine/base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bitstage {
namespace {

constexpr int64_t kBarWidth = 30;
constexpr std::chrono::milliseconds kRedrawInterval{100};

std::string Clock(std::chrono::duration<double> duration) {
  const auto seconds = static_cast<int64_t>(duration.count() + 0.5);
  if (seconds < 3600) return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
  return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

}  // namespace

Progress::Display Progress::StandardError() { return {.out = std::cerr, .is_terminal = isatty(STDERR_FILENO) == 1}; }

Progress::Progress(absl::string_view label, int64_t total, Display display)
    : label_(label),
      total_(std::max<int64_t>(total, 1)),
      display_(std::move(display)),
      start_(display_.now()),
      last_drawn_(start_) {}

Progress::~Progress() {
  MutexLock lock(mutex_);
  if (is_drawn_) display_.out << "\n" << std::flush;
}

void Progress::Advance(int64_t steps) {
  MutexLock lock(mutex_);
  done_ = std::min(done_ + steps, total_);
  const TimePoint now = display_.now();
  if (now - start_ < display_.quiet) return;
  if (!display_.is_terminal) {
    PrintLine(now);
  } else if (!is_drawn_ || done_ == total_ || now - last_drawn_ >= kRedrawInterval) {
    Draw(now);
  }
}

void Progress::Draw(TimePoint now) {
  is_drawn_ = true;
  last_drawn_ = now;
  const auto filled = static_cast<size_t>(done_ * kBarWidth / total_);
  const std::string bar = absl::StrCat(std::string(filled, '='), done_ < total_ ? ">" : "");
  // "\x1b[K" clears what a longer line has left behind.
  display_.out << "\r"
               << absl::StrFormat("%s  [%-*s] %3d%%  %s", label_, kBarWidth, bar, done_ * 100 / total_, TimeText(now))
               << "\x1b[K" << std::flush;
}

void Progress::PrintLine(TimePoint now) {
  const int64_t tenths = done_ * 10 / total_;
  if (tenths == tenths_printed_) return;
  tenths_printed_ = tenths;
  display_.out << absl::StrFormat("%s  %3d%%  %d of %d  %s\n", label_, done_ * 100 / total_, done_, total_,
                                  TimeText(now))
               << std::flush;
}

std::string Progress::TimeText(TimePoint now) const {
  const std::chrono::duration<double> elapsed = now - start_;
  if (done_ == total_) return absl::StrCat("in ", Clock(elapsed));
  if (done_ == 0) return "";
  return absl::StrCat(Clock(elapsed * (static_cast<double>(total_ - done_) / static_cast<double>(done_))), " left");
}

}  // namespace bitstage
