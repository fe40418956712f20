#include "server/pipeline/pending_requests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "tests/server/fake_clock.h"

namespace bitstage::server {
namespace {

using ::testing::HasSubstr;

class PendingRequestsTest : public testing::Test {
 protected:
  std::shared_ptr<RequestState> State(Clock::TimePoint deadline = Clock::TimePoint::max()) {
    return std::make_shared<RequestState>(clock_, deadline);
  }
  // Adds a request whose end goes to `end`.
  absl::Status Add(uint64_t id, std::optional<absl::Status>& end, int64_t bytes = 1) {
    return pending_.Add(id, bytes, State(), [&end](const absl::StatusOr<StageAnswer>& answer) {
      EXPECT_FALSE(end.has_value()) << "ended twice";
      end = answer.status();
    });
  }

  FakeClock clock_;
  PendingRequests pending_{QueueLimits{.requests = 2, .bytes = 100}, absl::UnavailableError("not connected yet")};
};

TEST_F(PendingRequestsTest, RefusesUntilItIsOpen) {
  std::optional<absl::Status> end;
  EXPECT_EQ(Add(pending_.NewId(), end), absl::UnavailableError("not connected yet"));
  pending_.Open();
  EXPECT_TRUE(Add(pending_.NewId(), end).ok());
  pending_.Close(absl::UnavailableError("gone"));
  EXPECT_EQ(end, absl::UnavailableError("gone"));
  std::optional<absl::Status> next;
  EXPECT_EQ(Add(pending_.NewId(), next), absl::UnavailableError("gone"));
  EXPECT_FALSE(next.has_value()) << "what was not taken is not called";
}

TEST_F(PendingRequestsTest, AnswersGoToTheirOwnRequestInAnyOrder) {
  pending_.Open();
  const uint64_t first = pending_.NewId();
  const uint64_t second = pending_.NewId();
  std::optional<absl::Status> first_end, second_end;
  ASSERT_TRUE(Add(first, first_end).ok());
  ASSERT_TRUE(Add(second, second_end).ok());
  EXPECT_TRUE(pending_.Finish(second, absl::DataLossError("second")));
  EXPECT_FALSE(first_end.has_value());
  EXPECT_EQ(second_end, absl::DataLossError("second"));
  EXPECT_TRUE(pending_.Finish(first, StageAnswer{}));
  EXPECT_EQ(first_end, absl::OkStatus());
}

TEST_F(PendingRequestsTest, AnAnswerThatNobodyWaitsForIsNoHarm) {
  pending_.Open();
  EXPECT_FALSE(pending_.Finish(77, StageAnswer{}));
  const uint64_t id = pending_.NewId();
  std::optional<absl::Status> end;
  ASSERT_TRUE(Add(id, end).ok());
  EXPECT_TRUE(pending_.Cancel(id));
  EXPECT_TRUE(absl::IsCancelled(*end));
  EXPECT_FALSE(pending_.Finish(id, StageAnswer{}));
  EXPECT_FALSE(pending_.Cancel(id));
}

TEST_F(PendingRequestsTest, CancelSaysThatTheDeadlinePassedWhereItDid) {
  pending_.Open();
  absl::Status end;
  const uint64_t id = pending_.NewId();
  ASSERT_TRUE(pending_
                  .Add(id, 1, State(clock_.Now() + std::chrono::seconds(1)),
                       [&](const absl::StatusOr<StageAnswer>& answer) { end = answer.status(); })
                  .ok());
  clock_.Advance(std::chrono::seconds(2));
  pending_.Cancel(id);
  EXPECT_TRUE(absl::IsDeadlineExceeded(end)) << end;
}

TEST_F(PendingRequestsTest, ACancelThatComesBeforeTheRequestIsNotLost) {
  pending_.Open();
  const uint64_t id = pending_.NewId();
  const std::shared_ptr<RequestState> state = State();
  state->Cancel();
  EXPECT_FALSE(pending_.Cancel(id));
  EXPECT_TRUE(absl::IsCancelled(pending_.Add(id, 1, state, [](const auto&) { FAIL(); })));
}

TEST_F(PendingRequestsTest, IsBoundedInRequestsAndInBytes) {
  pending_.Open();
  std::optional<absl::Status> ends[4];
  const uint64_t first = pending_.NewId();
  ASSERT_TRUE(Add(first, ends[0], 90).ok());
  const absl::Status bytes = Add(pending_.NewId(), ends[1], 11);
  EXPECT_TRUE(absl::IsResourceExhausted(bytes));
  EXPECT_THAT(std::string(bytes.message()), HasSubstr("this request has 11 bytes"));
  ASSERT_TRUE(Add(pending_.NewId(), ends[2], 10).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Add(pending_.NewId(), ends[1], 0))) << "two requests are all that may wait";
  pending_.Finish(first, StageAnswer{});
  EXPECT_TRUE(Add(pending_.NewId(), ends[3], 90).ok()) << "the place is free again";
}

// Senders, an answering stream, cancelling clients and a connection that comes and goes: each request that was taken
// ends exactly once, and none is left.
TEST(PendingRequestsStorm, EveryRequestEndsExactlyOnce) {
  constexpr int kSenders = 3;
  constexpr int kRequests = 4000;
  const SteadyClock clock;
  PendingRequests pending(QueueLimits{}, absl::UnavailableError("not connected yet"));
  std::atomic<int> taken = 0, refused = 0, ended = 0;
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  std::vector<std::atomic<int>> ends(kSenders * kRequests + 1);
  for (int sender = 0; sender < kSenders; ++sender) {
    threads.emplace_back([&] {
      for (int i = 0; i < kRequests; ++i) {
        const uint64_t id = pending.NewId();
        const auto state = std::make_shared<RequestState>(clock, Clock::TimePoint::max());
        const absl::Status added = pending.Add(id, 1, state, [&, id](const auto&) {
          ++ends[id];
          ++ended;
        });
        ++(added.ok() ? taken : refused);
        if (i % 3 == 0) pending.Cancel(id);
      }
    });
  }
  std::thread answers([&] {
    for (uint64_t id = 1; !over; id = id % (kSenders * kRequests) + 1) pending.Finish(id, StageAnswer{});
  });
  std::thread connection([&] {
    while (!over) {
      pending.Open();
      std::this_thread::yield();
      pending.Close(absl::UnavailableError("gone"));
    }
  });
  for (std::thread& thread : threads) thread.join();
  over = true;
  answers.join();
  connection.join();
  EXPECT_EQ(taken + refused, kSenders * kRequests);
  EXPECT_EQ(ended, taken);
  for (const std::atomic<int>& times : ends) EXPECT_LE(times, 1);
}

}  // namespace
}  // namespace bitstage::server
