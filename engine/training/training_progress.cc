#include "engine/training/training_progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bitstage {
namespace {

constexpr std::chrono::milliseconds kRedrawInterval{200};
constexpr int64_t kBarWidth = 20;

std::string Clock(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  return s < 3600 ? absl::StrFormat("%d:%02d", s / 60, s % 60)
                  : absl::StrFormat("%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace

void ProgressLine::Show(const TrainingProgress& now) {
  const auto time = std::chrono::steady_clock::now();
  if (first_step_ < 0) {
    first_step_ = now.step - 1;
    start_ = last_drawn_ = time;
  }
  if (now.score) {
    score_ = absl::StrFormat("  held back %.1f %%", 100 * now.score->agreement);
    if (now.score->accuracy) absl::StrAppendFormat(&score_, " (%.1f %% right)", 100 * *now.score->accuracy);
  }
  const int64_t hundredths = now.step * 100 / std::max<int64_t>(1, now.steps);
  const int64_t twentieths = hundredths / 5;
  const bool is_due = is_terminal_ ? time - last_drawn_ >= kRedrawInterval || now.step == now.steps
                                   : now.score.has_value() || twentieths > twentieths_printed_;
  if (!is_due) return;
  last_drawn_ = time;
  twentieths_printed_ = twentieths;
  const double elapsed = std::chrono::duration<double>(time - start_).count();
  const auto done = static_cast<double>(now.step - first_step_);
  const std::string left = absl::StrCat(Clock(elapsed / done * static_cast<double>(now.steps - now.step)), " left");
  const std::string state = absl::StrFormat("%3d%%  loss %.4f%s  %s", hundredths, now.loss, score_, left);
  if (!is_terminal_) {
    out_ << "training  step " << now.step << " of " << now.steps << "  " << state << "\n" << std::flush;
    return;
  }
  is_drawn_ = true;
  const auto filled = static_cast<size_t>(hundredths * kBarWidth / 100);
  const std::string bar = absl::StrCat(std::string(filled, '='), hundredths < 100 ? ">" : "");
  out_ << "\r" << absl::StrFormat("training  [%-*s] ", kBarWidth, bar) << state << "\x1b[K" << std::flush;
}

void ProgressLine::End() {
  if (is_drawn_) out_ << "\n" << std::flush;
  is_drawn_ = false;
}

}  // namespace bitstage
