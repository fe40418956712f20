#include "engine/training/optimizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace bitstage {
namespace {

TrainingOptions Constant(OptimizerKind kind, double rate) {
  TrainingOptions options;
  options.optimizer = kind;
  options.learning_rate = rate;
  options.warmup_steps = 0;
  options.schedule = ScheduleKind::kStep;
  options.images = 32 * 1000;
  return options;
}

// With both moments corrected the first step is rate · g / (|g| + ε): the size of the gradient does not matter.
TEST(Optimizer, AdamsFirstStepIsTheRate) {
  Optimizer adam(Constant(OptimizerKind::kAdam, 0.01));
  std::vector<float> w = {1, 1, 1};
  const std::vector<float> g = {1e-3f, -5, 0};
  adam.Step(0, std::vector<OptimizedArray>{{.values = w, .gradients = g}});
  EXPECT_NEAR(w[0], 0.99, 1e-5);
  EXPECT_NEAR(w[1], 1.01, 1e-5);
  EXPECT_EQ(w[2], 1);
}

TEST(Optimizer, SgdGathersMomentum) {
  Optimizer sgd(Constant(OptimizerKind::kSgd, 0.1));
  std::vector<float> w = {0};
  const std::vector<float> g = {1};
  for (int64_t step = 0; step < 3; ++step) {
    sgd.Step(step, std::vector<OptimizedArray>{{.values = w, .gradients = g}});
  }
  EXPECT_NEAR(w[0], -0.1 * (1 + 1.9 + 2.71), 1e-6);
}

TEST(Optimizer, WeightsDecayOnlyWhereAskedTo) {
  TrainingOptions options = Constant(OptimizerKind::kSgd, 0.1);
  options.weight_decay = 0.5;
  Optimizer sgd(options);
  std::vector<float> decaying = {1};
  std::vector<float> other = {1};
  const std::vector<float> g = {0};
  sgd.Step(0, std::vector<OptimizedArray>{{.values = decaying, .gradients = g, .decays = true},
                                          {.values = other, .gradients = g}});
  EXPECT_FLOAT_EQ(decaying[0], 0.95f);
  EXPECT_EQ(other[0], 1);
}

TEST(Optimizer, GoesOnFromItsStatesAsIfItHadNeverStopped) {
  const std::vector<float> g = {0.3f, -0.2f};
  std::vector<float> straight = {1, 2};
  Optimizer one(Constant(OptimizerKind::kAdam, 0.01));
  for (int64_t step = 0; step < 6; ++step) {
    one.Step(step, std::vector<OptimizedArray>{{.values = straight, .gradients = g}});
  }
  std::vector<float> resumed = {1, 2};
  Optimizer before(Constant(OptimizerKind::kAdam, 0.01));
  for (int64_t step = 0; step < 3; ++step) {
    before.Step(step, std::vector<OptimizedArray>{{.values = resumed, .gradients = g}});
  }
  Optimizer after(Constant(OptimizerKind::kAdam, 0.01));
  after.first() = before.first();
  after.second() = before.second();
  for (int64_t step = 3; step < 6; ++step) {
    after.Step(step, std::vector<OptimizedArray>{{.values = resumed, .gradients = g}});
  }
  EXPECT_EQ(resumed, straight);
}

}  // namespace
}  // namespace bitstage
