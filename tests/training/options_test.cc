#include "engine/training/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace bitstage {
namespace {

TEST(TrainingOptions, TheRateRisesThenFallsToNothing) {
  TrainingOptions options;
  options.images = 32 * 1000;
  EXPECT_LT(LearningRate(options, 0), 0.05 * options.learning_rate);
  EXPECT_NEAR(LearningRate(options, 50), options.learning_rate, 1e-12);
  EXPECT_NEAR(LearningRate(options, 525), options.learning_rate / 2, 1e-9);
  EXPECT_LT(LearningRate(options, 999), 1e-5 * options.learning_rate);
  options.schedule = ScheduleKind::kStep;
  EXPECT_DOUBLE_EQ(LearningRate(options, 500), options.learning_rate);
  EXPECT_DOUBLE_EQ(LearningRate(options, 600), options.learning_rate / 10);
  EXPECT_DOUBLE_EQ(LearningRate(options, 999), options.learning_rate / 100);
}

TEST(TrainingOptions, WidthsTakeEqualParts) {
  TrainingOptions options;
  options.images = 32 * 90;
  options.activation_bits = {8, 6, 4};
  EXPECT_EQ(ActivationBits(options, 0), 8);
  EXPECT_EQ(ActivationBits(options, 29), 8);
  EXPECT_EQ(ActivationBits(options, 30), 6);
  EXPECT_EQ(ActivationBits(options, 89), 4);
  EXPECT_EQ(ActivationBits(options, 90), 4);
}

TEST(TrainingOptions, NormsFreezeInTheLastShare) {
  TrainingOptions options;
  options.images = 32 * 100;
  options.frozen_share = 0.2;
  EXPECT_FALSE(IsFrozen(options, 79));
  EXPECT_TRUE(IsFrozen(options, 80));
}

TEST(TrainingOptions, FingerprintsTellRunsApart) {
  std::set<std::string> prints = {Fingerprint(TrainingOptions())};
  const auto add = [&](auto change) {
    TrainingOptions options;
    change(options);
    EXPECT_TRUE(prints.insert(Fingerprint(options)).second);
  };
  add([](TrainingOptions& o) { o.codebook = Codebook::kBinary; });
  add([](TrainingOptions& o) { o.subgroups = ScaleKind::kRow; });
  add([](TrainingOptions& o) { o.activation_bits = {8, 4}; });
  add([](TrainingOptions& o) { o.max_alpha = 14; });
  add([](TrainingOptions& o) { o.eta_of_mean = 0.7; });
  add([](TrainingOptions& o) { o.scaled_zeros = true; });
  add([](TrainingOptions& o) { o.clips = ClipTraining::kPact; });
  add([](TrainingOptions& o) { o.norm = NormKind::kNone; });
  add([](TrainingOptions& o) { o.learning_rate += 1e-12; });
  add([](TrainingOptions& o) { o.seed = 2; });
  add([](TrainingOptions& o) { o.threads = 2; });
  add([](TrainingOptions& o) { o.flip = false; });
  add([](TrainingOptions& o) { o.mix = true; });
}

}  // namespace
}  // namespace bitstage
