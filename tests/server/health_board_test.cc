#include "server/services/health_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace bitstage::server {
namespace {

using ::testing::ElementsAre;

constexpr std::optional<Health> kUnknown;
constexpr std::optional<Health> kServing = Health::kServing;
constexpr std::optional<Health> kNotServing = Health::kNotServing;

TEST(HealthBoard, KnowsWhatItWasTold) {
  HealthBoard board;
  EXPECT_EQ(board.Get("net"), kUnknown);
  board.Set("net", Health::kServing);
  EXPECT_TRUE(board.IsServing("net"));
  EXPECT_EQ(board.Get(absl::string_view("net\0", 4)), kUnknown) << "names are compared whole";
}

TEST(HealthBoard, TellsSubscribersTheStateNowAndEveryChangeOnce) {
  HealthBoard board;
  std::vector<std::optional<Health>> heard;
  const HealthBoard::Token token =
      board.Subscribe("net", [&](std::optional<Health> health) { heard.push_back(health); });
  board.Set("other", Health::kServing);
  board.Set("net", Health::kServing);
  board.Set("net", Health::kServing);
  board.Set("net", Health::kNotServing);
  board.Unsubscribe(token);
  board.Set("net", Health::kServing);
  EXPECT_THAT(heard, ElementsAre(kUnknown, kServing, kNotServing));
}

TEST(HealthBoard, NothingServesAgainOnceDraining) {
  HealthBoard board;
  std::vector<std::optional<Health>> heard;
  board.Set("", Health::kServing);
  board.Subscribe("", [&](std::optional<Health> health) { heard.push_back(health); });
  board.Drain();
  board.Set("", Health::kServing);
  board.Set("loaded late", Health::kServing);
  EXPECT_THAT(heard, ElementsAre(kServing, kNotServing));
  EXPECT_EQ(board.Get("loaded late"), kNotServing);
}

}  // namespace
}  // namespace bitstage::server
