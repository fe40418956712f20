#include "engine/training/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "engine/graph/content_hash.h"
#include "engine/training/checkpoint.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using testing::HasSubstr;

Model TinyNetwork() {
  GraphBuilder b(2);
  const ValueId x = b.Input({3, 32, 32});
  const Clamp relu{0, std::numeric_limits<float>::infinity()};
  Conv first = b.MakeConv({3, 32, 32}, 8, 3, 4, 1);
  first.clamp = relu;
  Conv second = b.MakeConv({8, 8, 8}, 8, 3, 2, 1);
  second.clamp = relu;
  const ValueId y = b.Add(GlobalAveragePool{false}, {b.Add(second, {b.Add(first, {x})})});
  Model model;
  model.name = "tiny";
  model.graph = b.Finish({b.Add(b.MakeFullyConnected(8, 10), {y})});
  model.preprocessing = Preprocessing{};
  model.preprocessing->width = 32;
  model.preprocessing->height = 32;
  return model;
}

class TrainerTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/trainer_" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::mt19937 random(1);
    std::ofstream file(folder_ + "/images.bin", std::ios::binary);
    // The class is the plane that is bright.
    for (int image = 0; image < 120; ++image) {
      const int label = image % 3;
      file.put(static_cast<char>(label));
      for (int i = 0; i < 3072; ++i) {
        file.put(static_cast<char>((i / 1024 == label ? 150 : 0) + static_cast<int>(random() % 100)));
      }
    }
    file.close();
    options_.images = 16 * 60;
    options_.batch = 16;
    options_.held_back = 20;
    options_.warmup_steps = 5;
    run_.checkpoint = folder_ + "/run.checkpoint";
    run_.checkpoint_every = 10;
    run_.evaluate_every = 20;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<TrainingResult> Go(const std::function<void(const TrainingProgress&)>& progress = {}) {
    auto data = std::make_shared<const Dataset>(*Dataset::Open(folder_ + "/images.bin"));
    const TrainingSet set = *TrainingSet::Create({data}, *model_.preprocessing, options_);
    return Train(model_, set, options_, run_, progress);
  }

  std::string folder_;
  Model model_ = TinyNetwork();
  TrainingOptions options_;
  TrainingRun run_;
};

TEST_F(TrainerTest, LearnsFromTheTeacherAndServesWhatItLearned) {
  std::vector<double> losses;
  const absl::StatusOr<TrainingResult> result = Go([&](const TrainingProgress& now) { losses.push_back(now.loss); });
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(losses.back(), 0.5 * losses.front());
  EXPECT_GE(result->end.agreement, 0.7);
  EXPECT_EQ(result->same_top, 1);
  EXPECT_EQ(result->max_logit_difference, 0);
}

TEST_F(TrainerTest, AMixtureIsAShareOfItsImageAndTheRestOfAnotherOfTheBatch) {
  auto data = std::make_shared<const Dataset>(*Dataset::Open(folder_ + "/images.bin"));
  const Tensor plain =
      std::move(TrainingSet::Create({data}, *model_.preprocessing, options_)->Batch(3, nullptr)->images);
  options_.mix = true;
  const TrainingSet set = *TrainingSet::Create({data}, *model_.preprocessing, options_);
  const Tensor mixed = std::move(set.Batch(3, nullptr)->images);
  EXPECT_TRUE(std::ranges::equal(mixed.Span<float>(), set.Batch(3, nullptr)->images.Span<float>()));
  const size_t elements = 3072;
  const auto image = [&](const Tensor& from, int64_t i) {
    return from.Span<float>().subspan(static_cast<size_t>(i) * elements, elements);
  };
  double least = 1;
  double most = 0;
  for (int64_t i = 0; i < options_.batch; ++i) {
    const std::span<const float> a = image(plain, i);
    const std::span<const float> m = image(mixed, i);
    bool found = false;
    for (int64_t j = 0; j < options_.batch; ++j) {
      if (j == i) continue;
      const std::span<const float> b = image(plain, j);
      double product = 0;
      double square = 0;
      for (size_t e = 0; e < elements; ++e) {
        product += static_cast<double>(m[e] - b[e]) * (a[e] - b[e]);
        square += static_cast<double>(a[e] - b[e]) * (a[e] - b[e]);
      }
      const double share = product / square;
      double furthest = 0;
      for (size_t e = 0; e < elements; ++e)
        furthest = std::max(furthest, std::abs(m[e] - (share * a[e] + (1 - share) * b[e])));
      if (furthest > 1e-3 || share < 0 || share > 1) continue;
      found = true;
      least = std::min(least, share);
      most = std::max(most, share);
    }
    EXPECT_TRUE(found) << "image " << i;
  }
  EXPECT_LT(least, 0.3);
  EXPECT_GT(most, 0.7);
}

TEST_F(TrainerTest, LearnsFromLabels) {
  options_.loss = LossKind::kLabels;
  options_.images = 16 * 300;
  options_.learning_rate = 0.01;
  const absl::StatusOr<TrainingResult> result = Go();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_GE(*result->end.accuracy, 0.9);
}

TEST_F(TrainerTest, ARunThatIsStoppedGoesOnToTheSameResult) {
  options_.activation_bits = {8, 4};
  const std::string straight = ContentHash(Go()->graph);
  for (const int64_t stop_at : {7, 35, 58}) {
    std::filesystem::remove(run_.checkpoint);
    std::atomic<bool> stop = false;
    run_.stop = &stop;
    const absl::Status stopped = Go([&](const TrainingProgress& now) { stop = now.step == stop_at; }).status();
    EXPECT_EQ(stopped.code(), absl::StatusCode::kCancelled);
    run_.stop = nullptr;
    int64_t first = -1;
    const absl::StatusOr<TrainingResult> resumed = Go([&](const TrainingProgress& now) {
      if (first < 0) first = now.step;
    });
    ASSERT_TRUE(resumed.ok()) << resumed.status();
    EXPECT_EQ(first, stop_at + 1);
    EXPECT_EQ(ContentHash(resumed->graph), straight);
  }
}

TEST_F(TrainerTest, ACheckpointOfAnotherRunIsRefusedByWhatDiffers) {
  ASSERT_TRUE(Go().ok());
  options_.temperature = 2;
  const absl::Status status = Go().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(HasSubstr(run_.checkpoint), HasSubstr("temperature 4"), HasSubstr("temperature 2")));
  options_.temperature = 4;
  std::ofstream(run_.checkpoint) << "not ours";
  EXPECT_THAT(std::string(Go().status().message()), HasSubstr("not a training checkpoint"));
}

TEST_F(TrainerTest, AnExplodingLossEndsAtTheLastGoodCheckpoint) {
  // What a run gone wrong leaves behind: a checkpoint whose running mean says how good it had been.
  options_.images = 16 * 300;
  std::atomic<bool> stop = false;
  run_.stop = &stop;
  ASSERT_FALSE(Go([&](const TrainingProgress& now) { stop = now.step == 150; }).ok());
  run_.stop = nullptr;
  Checkpoint checkpoint = *ReadCheckpoint(run_.checkpoint);
  checkpoint.loss = 1e-9;
  ASSERT_TRUE(WriteCheckpoint(checkpoint, run_.checkpoint).ok());
  const absl::StatusOr<TrainingResult> result = Go();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->steps, 150);
  EXPECT_THAT(result->stopped, testing::AllOf(HasSubstr("the loss was"), HasSubstr("checkpoint of step 150")));
}

TEST_F(TrainerTest, EndsWhenNothingGetsBetter) {
  options_.learning_rate = 0;
  options_.images = 16 * 1000;
  run_.patience = 2;
  const absl::StatusOr<TrainingResult> result = Go();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LE(result->steps, 80);
  EXPECT_THAT(result->stopped, HasSubstr("no better agreement"));
}

TEST_F(TrainerTest, LabelsThatTheNetworkDoesNotHaveAreRefused) {
  model_.class_offset = 8;  // labels 0 to 2, of ten outputs
  EXPECT_THAT(std::string(Go().status().message()), HasSubstr("10 classes, but the network has 2"));
}

TEST_F(TrainerTest, TooFewImagesAreRefused) {
  options_.held_back = 120;
  auto data = std::make_shared<const Dataset>(*Dataset::Open(folder_ + "/images.bin"));
  EXPECT_THAT(std::string(TrainingSet::Create({data}, *model_.preprocessing, options_).status().message()),
              testing::AllOf(HasSubstr("120 images"), HasSubstr("too few")));
}

}  // namespace
}  // namespace bitstage
