#include "server/scheduling/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/server/fake_clock.h"
#include "tests/server/fake_job.h"

namespace bitstage::server {
namespace {

TEST(Scheduler, RunsEveryJobOnce) {
  FakeClock clock;
  Scheduler scheduler(3, {.requests = 1000, .bytes = 1000});
  std::vector<std::unique_ptr<FakeJob>> jobs;
  for (int i = 0; i < 300; ++i) {
    jobs.push_back(std::make_unique<FakeJob>(i % 2 == 0 ? "a" : "b", clock));
    ASSERT_TRUE(scheduler.Submit(jobs.back().get()).ok());
  }
  for (const auto& job : jobs) EXPECT_TRUE(job->WaitForEnd().ok());
  for (const auto& job : jobs) EXPECT_EQ(job->times_ended(), 1);
}

TEST(Scheduler, RunsAsManyJobsAtOnceAsItHasWorkers) {
  FakeClock clock;
  Scheduler scheduler(2, {});
  Gate first_runs, second_runs;
  FakeJob first("a", clock), second("a", clock);
  first.OnRun([&] {
    first_runs.Open();
    second_runs.Wait();
  });  // each waits for the other: one worker would hang
  second.OnRun([&] {
    second_runs.Open();
    first_runs.Wait();
  });
  ASSERT_TRUE(scheduler.Submit(&first).ok());
  ASSERT_TRUE(scheduler.Submit(&second).ok());
  EXPECT_TRUE(first.WaitForEnd().ok());
  EXPECT_TRUE(second.WaitForEnd().ok());
}

TEST(Scheduler, AbortStopsWhatRunsDropsWhatWaitsAndRefusesWhatComes) {
  FakeClock clock;
  Scheduler scheduler(1, {});
  Gate runs, go_on;
  FakeJob running("a", clock), waiting("a", clock), late("a", clock);
  running.OnRun([&] {
    runs.Open();
    go_on.Wait();
  });
  ASSERT_TRUE(scheduler.Submit(&running).ok());
  runs.Wait();
  ASSERT_TRUE(scheduler.Submit(&waiting).ok());
  scheduler.Abort();
  EXPECT_TRUE(absl::IsUnavailable(waiting.WaitForEnd()));
  EXPECT_TRUE(absl::IsUnavailable(scheduler.Submit(&late)));
  go_on.Open();
  EXPECT_TRUE(absl::IsUnavailable(running.WaitForEnd())) << "its next check says so";
}

TEST(Scheduler, SurvivesACancelStorm) {
  constexpr int kClients = 4;
  constexpr int kJobsEach = 500;
  FakeClock clock;
  Scheduler scheduler(2, {.requests = 16, .bytes = 1000});
  std::atomic<int> refused = 0;
  std::vector<std::vector<std::unique_ptr<FakeJob>>> jobs(kClients);
  std::vector<std::thread> clients;
  for (auto& mine : jobs) {
    clients.emplace_back([&] {
      for (int i = 0; i < kJobsEach; ++i) {
        auto job = std::make_unique<FakeJob>("a", clock);
        const std::shared_ptr<RequestState> state = job->state();
        if (scheduler.Submit(job.get()).ok()) {
          mine.push_back(std::move(job));
        } else {
          ++refused;
        }
        if (i % 3 != 0) state->Cancel();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  int taken = 0;
  for (const auto& mine : jobs) {
    for (const auto& job : mine) {
      const absl::Status end = job->WaitForEnd();
      EXPECT_TRUE(end.ok() || absl::IsCancelled(end)) << end;
      ++taken;
    }
  }
  EXPECT_EQ(taken + refused, kClients * kJobsEach);
  FakeJob next("a", clock);
  ASSERT_TRUE(scheduler.Submit(&next).ok());
  EXPECT_TRUE(next.WaitForEnd().ok()) << "after the storm, requests are served";
  for (const auto& mine : jobs) {
    for (const auto& job : mine) EXPECT_EQ(job->times_ended(), 1);
  }
}

}  // namespace
}  // namespace bitstage::server
