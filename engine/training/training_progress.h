// ProgressLine: how a training run goes, for a person who waits.
//
// On a terminal one line that is redrawn:
//   training  [=========>          ]  47%  loss 0.412  held back 93.1 % (91.2 % right)  1:20:12 left
// elsewhere a plain line at every evaluation and every twentieth.
#pragma once

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

#include "engine/training/trainer.h"

namespace bitstage {

class ProgressLine {
 public:
  ProgressLine(std::ostream& out, bool is_terminal) : out_(out), is_terminal_(is_terminal) {}
  void Show(const TrainingProgress& now);
  void End();

 private:
  std::ostream& out_;
  const bool is_terminal_;
  std::string score_;
  int64_t first_step_ = -1;
  std::chrono::steady_clock::time_point start_, last_drawn_;
  int64_t twentieths_printed_ = 0;
  bool is_drawn_ = false;
};

}  // namespace bitstage
