#include "server/pipeline/backoff.h"

#include <gtest/gtest.h>

#include "tests/server/fake_clock.h"

namespace bitstage::server {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, DoublesUpToTheMost) {
  FakeClock clock;
  Backoff backoff(clock, milliseconds(50), milliseconds(300));
  EXPECT_LE(backoff.next(), clock.Now()) << "the first attempt is due at once";
  for (const int expected : {50, 100, 200, 300, 300}) {
    backoff.Failed();
    EXPECT_EQ(backoff.next() - clock.Now(), milliseconds(expected));
    clock.Advance(milliseconds(expected));
  }
}

TEST(Backoff, BeginsAnewAfterASuccessButNotAtOnce) {
  FakeClock clock;
  Backoff backoff(clock, milliseconds(50), milliseconds(300));
  for (int i = 0; i < 5; ++i) backoff.Failed();
  backoff.Ended();
  EXPECT_EQ(backoff.next() - clock.Now(), milliseconds(50));
  backoff.Failed();
  EXPECT_EQ(backoff.next() - clock.Now(), milliseconds(100));
}

}  // namespace
}  // namespace bitstage::server
