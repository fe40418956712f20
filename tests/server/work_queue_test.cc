#include "server/scheduling/work_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/server/fake_clock.h"
#include "tests/server/fake_job.h"

namespace bitstage::server {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

TEST(WorkQueue, GivesTheJobsOfALaneInTheOrderTheyCame) {
  FakeClock clock;
  WorkQueue queue({});
  FakeJob first("a", clock), second("a", clock);
  ASSERT_TRUE(queue.Push(&first).ok());
  ASSERT_TRUE(queue.Push(&second).ok());
  EXPECT_EQ(queue.Pop(), &first);
  EXPECT_EQ(queue.Pop(), &second);
}

TEST(WorkQueue, TakesTheLanesInTurnSoThatABusyModelStarvesNobody) {
  FakeClock clock;
  WorkQueue queue({});
  FakeJob a1("a", clock), a2("a", clock), a3("a", clock), b1("b", clock);
  for (FakeJob* job : {&a1, &a2, &a3, &b1}) ASSERT_TRUE(queue.Push(job).ok());
  EXPECT_EQ(queue.Pop(), &a1);
  EXPECT_EQ(queue.Pop(), &b1);
  EXPECT_EQ(queue.Pop(), &a2);
  EXPECT_EQ(queue.Pop(), &a3);
}

TEST(WorkQueue, RefusesWhatIsOverTheCountAndNamesTheLimit) {
  FakeClock clock;
  WorkQueue queue({.requests = 1, .bytes = 100});
  FakeJob first("a", clock), second("a", clock), other_lane("b", clock);
  ASSERT_TRUE(queue.Push(&first).ok());
  const absl::Status refused = queue.Push(&second);
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("at most 1 requests"));
  EXPECT_EQ(second.times_ended(), 0) << "a refused job is the caller's";
  EXPECT_TRUE(queue.Push(&other_lane).ok()) << "limits are a lane's";
  queue.Close(absl::UnavailableError("end"));
}

TEST(WorkQueue, RefusesWhatIsOverTheBytes) {
  FakeClock clock;
  constexpr auto kNever = Clock::TimePoint::max();
  WorkQueue queue({.requests = 10, .bytes = 100});
  FakeJob first("a", clock, kNever, 60), second("a", clock, kNever, 41), third("a", clock, kNever, 40);
  FakeJob alone_too_big("b", clock, kNever, 101);
  ASSERT_TRUE(queue.Push(&first).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(queue.Push(&second)));
  EXPECT_TRUE(queue.Push(&third).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(queue.Push(&alone_too_big)));
  queue.Close(absl::UnavailableError("end"));
}

TEST(WorkQueue, DropsAJobWhoseDeadlinePassedWhileItWaited) {
  FakeClock clock;
  WorkQueue queue({});
  FakeJob late("a", clock, clock.Now() + milliseconds(10)), fine("a", clock, clock.Now() + milliseconds(20));
  ASSERT_TRUE(queue.Push(&late).ok());
  ASSERT_TRUE(queue.Push(&fine).ok());
  clock.Advance(milliseconds(10));
  EXPECT_EQ(queue.Pop(), &fine);
  ASSERT_TRUE(late.end().has_value());
  EXPECT_TRUE(absl::IsDeadlineExceeded(*late.end()));
}

TEST(WorkQueue, DropsACancelledJob) {
  FakeClock clock;
  WorkQueue queue({});
  FakeJob cancelled("a", clock), fine("b", clock);
  ASSERT_TRUE(queue.Push(&cancelled).ok());
  ASSERT_TRUE(queue.Push(&fine).ok());
  cancelled.state()->Cancel();
  EXPECT_EQ(queue.Pop(), &fine);
  ASSERT_TRUE(cancelled.end().has_value());
  EXPECT_TRUE(absl::IsCancelled(*cancelled.end()));
}

TEST(WorkQueue, DeadJobsGiveTheirPlacesToLivingOnes) {
  FakeClock clock;
  WorkQueue queue({.requests = 2, .bytes = 100});
  FakeJob dead("a", clock), alive("a", clock), comes("a", clock), too_many("a", clock);
  ASSERT_TRUE(queue.Push(&dead).ok());
  ASSERT_TRUE(queue.Push(&alive).ok());
  dead.state()->Cancel();
  EXPECT_TRUE(queue.Push(&comes).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(queue.Push(&too_many)));
  EXPECT_EQ(dead.times_ended(), 1);
  EXPECT_EQ(queue.Pop(), &alive);
  EXPECT_EQ(queue.Pop(), &comes);
}

TEST(WorkQueue, CloseDropsWhatWaitsAndRefusesWhatComes) {
  FakeClock clock;
  WorkQueue queue({});
  FakeJob waits("a", clock), comes("a", clock);
  ASSERT_TRUE(queue.Push(&waits).ok());
  queue.Close(absl::UnavailableError("shutting down"));
  EXPECT_TRUE(absl::IsUnavailable(waits.WaitForEnd()));
  EXPECT_TRUE(absl::IsUnavailable(queue.Push(&comes)));
  EXPECT_EQ(queue.Pop(), nullptr);
}

TEST(WorkQueue, ReportsTheFillOfEachLane) {
  FakeClock clock;
  constexpr auto kNever = Clock::TimePoint::max();
  std::map<std::string, std::pair<int64_t, int64_t>> fill;
  WorkQueue queue({}, [&](absl::string_view lane, int64_t requests, int64_t bytes) {
    fill[std::string(lane)] = {requests, bytes};
  });
  FakeJob first("a", clock, kNever, 10), second("a", clock, kNever, 5);
  ASSERT_TRUE(queue.Push(&first).ok());
  ASSERT_TRUE(queue.Push(&second).ok());
  EXPECT_EQ(fill["a"], std::make_pair(int64_t{2}, int64_t{15}));
  queue.Pop();
  EXPECT_EQ(fill["a"], std::make_pair(int64_t{1}, int64_t{5}));
  queue.Close(absl::UnavailableError("end"));
  EXPECT_EQ(fill["a"], std::make_pair(int64_t{0}, int64_t{0}));
}

}  // namespace
}  // namespace bitstage::server
