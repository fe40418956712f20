#include "engine/base/thread_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>
#include <vector>

namespace bitstage {
namespace {

using ::testing::Each;
using ::testing::Eq;

class ThreadPoolTest : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, ThreadPoolTest, ::testing::Values(1, 2, 3, 8), ::testing::PrintToStringParamName());

TEST_P(ThreadPoolTest, EveryIndexIsVisitedExactlyOnce) {
  ThreadPool pool(GetParam());
  for (const int64_t count : {0, 1, 2, 7, 64, 1000}) {
    for (const int64_t grain : {-1, 0, 1, 3, 64, 5000}) {
      std::vector<std::atomic<int>> visits(static_cast<size_t>(count));
      pool.ParallelFor(count, grain, [&](int64_t begin, int64_t end, int worker) {
        ASSERT_LT(begin, end);
        ASSERT_GE(worker, 0);
        ASSERT_LT(worker, pool.threads());
        for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
      });
      for (const std::atomic<int>& visit : visits) ASSERT_EQ(visit, 1) << count << " by " << grain;
    }
  }
}

TEST_P(ThreadPoolTest, WhatTheBodiesWroteIsVisibleToTheCaller) {
  ThreadPool pool(GetParam());
  std::vector<int64_t> values(512);  // plain memory: the thread sanitizer checks the hand-over
  for (int64_t round = 0; round < 1000; ++round) {
    pool.ParallelFor(512, 16, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) values[static_cast<size_t>(i)] += round;
    });
    for (const int64_t value : values) ASSERT_EQ(value, round * (round + 1) / 2);
  }
}

TEST_P(ThreadPoolTest, AWorkersScratchIsItsOwn) {
  ThreadPool pool(GetParam());
  std::vector<int64_t> scratch(static_cast<size_t>(pool.threads()));
  for (int round = 0; round < 500; ++round) {
    pool.ParallelFor(
        64, 1, [&](int64_t begin, int64_t end, int worker) { scratch[static_cast<size_t>(worker)] += end - begin; });
  }
  int64_t total = 0;
  for (const int64_t one : scratch) total += one;
  EXPECT_EQ(total, 500 * 64);
}

TEST(ThreadPoolSharing, AWorkerTakesAChunkWhileTheCallerHoldsAnother) {
  ThreadPool pool(2);
  // Each of the two chunks waits for the other: this ends only if two threads are in the loop at once.
  std::latch both(2);
  pool.ParallelFor(2, 1, [&](int64_t, int64_t, int) { both.arrive_and_wait(); });
}

TEST(ThreadPoolSharing, ASecondCallerRunsItsLoopAloneWhileTheFirstIsUnderWay) {
  ThreadPool pool(2);
  pool.ParallelFor(2, 1, [&](int64_t begin, int64_t, int) {
    if (begin != 0) return;
    int calls = 0;
    std::thread second([&] {
      pool.ParallelFor(100, 1, [&](int64_t first, int64_t last, int worker) {
        ++calls;
        EXPECT_EQ(first, 0);
        EXPECT_EQ(last, 100);
        EXPECT_EQ(worker, 0);
      });
    });
    second.join();
    EXPECT_EQ(calls, 1);
  });
}

TEST(ThreadPoolSharing, ALoopWithinABodyRunsAlone) {
  ThreadPool pool(3);
  std::atomic<int64_t> inner{0};
  pool.ParallelFor(10, 1, [&](int64_t, int64_t, int) {
    pool.ParallelFor(7, 1, [&](int64_t begin, int64_t end, int) { inner += end - begin; });
  });
  EXPECT_EQ(inner, 70);
}

TEST(ThreadPoolStress, ConcurrentCallersWithManySmallLoops) {
  constexpr int kCallers = 4;
  constexpr int kLoops = 3000;
  ThreadPool pool(3);
  std::vector<int64_t> sums(kCallers);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      std::vector<int64_t> squares(20);
      for (int loop = 0; loop < kLoops; ++loop) {
        pool.ParallelFor(20, 3, [&](int64_t begin, int64_t end, int) {
          for (int64_t i = begin; i < end; ++i) squares[static_cast<size_t>(i)] = i * i + loop;
        });
        for (const int64_t square : squares) sums[static_cast<size_t>(caller)] += square;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  constexpr int64_t kSquares = 19 * 20 * 39 / 6;
  EXPECT_THAT(sums, Each(Eq(kLoops * kSquares + int64_t{20} * kLoops * (kLoops - 1) / 2)));
}

TEST(ThreadPoolStress, PoolsComeAndGoWithAndWithoutWork) {
  for (int round = 0; round < 200; ++round) {
    ThreadPool pool(1 + round % 4);
    std::atomic<int64_t> sum{0};
    if (round % 2 == 0) pool.ParallelFor(8, 1, [&](int64_t begin, int64_t end, int) { sum += end - begin; });
    EXPECT_EQ(sum, round % 2 == 0 ? 8 : 0);
  }
}

TEST(AvailableCpus, IsAtLeastOneAndAtMostTheMachines) {
  EXPECT_GE(AvailableCpus(), 1);
  EXPECT_LE(AvailableCpus(), static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
}

}  // namespace
}  // namespace bitstage
