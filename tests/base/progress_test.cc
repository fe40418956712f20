#include "engine/base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

namespace bitstage {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ProgressTest : public ::testing::Test {
 protected:
  Progress::Display Display(bool is_terminal) {
    return {.out = out_, .is_terminal = is_terminal, .now = [this] { return now_; }};
  }
  // The time moves by `step` before each of `steps` advances.
  void Work(Progress& progress, int steps, std::chrono::milliseconds step) {
    for (int i = 0; i < steps; ++i) {
      now_ += step;
      progress.Advance();
    }
  }

  std::ostringstream out_;
  Progress::TimePoint now_{};
};

TEST_F(ProgressTest, PrintsAPlainLineATenthWhereThereIsNoTerminal) {
  Progress progress("calibrating", 200, Display(false));
  Work(progress, 200, std::chrono::seconds(1));
  const std::string text = out_.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 10);
  EXPECT_THAT(text, HasSubstr("calibrating   50%  100 of 200  1:40 left\n"));
  EXPECT_THAT(text, EndsWith("calibrating  100%  200 of 200  in 3:20\n"));
}

TEST_F(ProgressTest, RedrawsOneLineOnATerminalAndEndsIt) {
  {
    Progress progress("searching", 4, Display(true));
    Work(progress, 2, std::chrono::seconds(3000));
    EXPECT_THAT(out_.str(), EndsWith("\rsearching  [===============>              ]  50%  1:40:00 left\x1b[K"));
    Work(progress, 2, std::chrono::seconds(1));
  }
  EXPECT_THAT(out_.str(), EndsWith("\rsearching  [==============================] 100%  in 1:40:02\x1b[K\n"));
  EXPECT_EQ(out_.str().find('\n'), out_.str().size() - 1);
}

TEST_F(ProgressTest, RedrawsAtMostTenTimesASecond) {
  Progress progress("x", 100000, Display(true));
  now_ += std::chrono::seconds(2);
  Work(progress, 1000, std::chrono::milliseconds(1));
  const std::string text = out_.str();
  const auto drawn = std::count(text.begin(), text.end(), '\r');
  EXPECT_GE(drawn, 9);
  EXPECT_LE(drawn, 11);
}

TEST_F(ProgressTest, SaysNothingAboutShortWork) {
  for (const bool is_terminal : {false, true}) {
    Progress progress("quick", 10, Display(is_terminal));
    Work(progress, 10, std::chrono::milliseconds(50));
  }
  EXPECT_THAT(out_.str(), IsEmpty());
}

}  // namespace
}  // namespace bitstage
