#include "engine/base/short_turns.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <thread>

namespace bitstage {
namespace {

TEST(ShortTurns, AreOfHalfAMillisecondAtMostAndLeavePolicyAndNicenessAlone) {
  if (sched_getscheduler(0) != SCHED_OTHER) GTEST_SKIP() << "the tests run under another policy";
  std::thread([] {
    const int niceness = getpriority(PRIO_PROCESS, 0);
    PreferShortTurns();
    PreferShortTurns();
    EXPECT_LE(TurnNanoseconds(), 500'000);
    EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
    EXPECT_EQ(getpriority(PRIO_PROCESS, 0), niceness);
  }).join();
}

TEST(ShortTurns, AreOneThreadsWish) {
  const int64_t before = TurnNanoseconds();
  std::thread(PreferShortTurns).join();
  EXPECT_EQ(TurnNanoseconds(), before);
}

}  // namespace
}  // namespace bitstage
