#include "engine/quant/refit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;

TEST(RefitWeights, WithoutCorrelationsTheWeightsStay) {
  Hessian hessian(2);
  hessian.Add(std::vector<float>{1, 2, 3, -1});
  const std::vector<float> w = {0.5f, -0.25f};
  const auto refitted = RefitWeights(w, std::vector<float>{0, 0}, {{hessian}});
  ASSERT_TRUE(refitted.ok()) << refitted.status();
  EXPECT_EQ(*refitted, w);
}

// x = 2 x̂ in the first column and x = x̂ in the second: weights that see x̂ must be twice as large in the first.
TEST(RefitWeights, FindsTheMapThatMakesUpForAnInputAtHalfItsSize) {
  const std::vector<float> rows_hat = {1, 2, 3, -1, -2, 0.5f, 0.25f, 1};
  const std::vector<float> w = {0.5f, -0.25f};
  Hessian hessian(2);
  hessian.Add(rows_hat);
  std::vector<float> correlations(2);
  for (size_t row = 0; row < 4; ++row) {
    const float missing = w[0] * rows_hat[2 * row];  // W (x − x̂)
    for (size_t k = 0; k < 2; ++k) correlations[k] += missing * rows_hat[2 * row + k];
  }
  const auto exact = RefitWeights(w, correlations, {{hessian}}, {.damping = 0});
  ASSERT_TRUE(exact.ok()) << exact.status();
  EXPECT_THAT(*exact, ElementsAre(FloatNear(1.0f, 1e-5f), FloatNear(-0.25f, 1e-5f)));
  const auto damped = RefitWeights(w, correlations, {{hessian}}, {.damping = 1});
  ASSERT_TRUE(damped.ok()) << damped.status();
  EXPECT_GT((*damped)[0], 0.6f);
  EXPECT_LT((*damped)[0], 0.9f) << "a ridge holds the weights back";
}

TEST(RefitWeights, GroupsAreFittedApart) {
  Hessian first(1), second(1);
  first.Add(std::vector<float>{2});   // H = 4
  second.Add(std::vector<float>{1});  // H = 1
  const auto refitted =
      RefitWeights(std::vector<float>{1, 1}, std::vector<float>{4, 4}, {{first, second}}, {.damping = 0});
  ASSERT_TRUE(refitted.ok()) << refitted.status();
  EXPECT_THAT(*refitted, ElementsAre(2.0f, 5.0f));
}

TEST(RefitWeights, RefusesSizesThatDoNotFitAndSumsThatAreNotFinite) {
  Hessian hessian(2);
  EXPECT_EQ(RefitWeights(std::vector<float>(4), std::vector<float>(2), {{hessian}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RefitWeights(std::vector<float>(3), std::vector<float>(3), {{hessian}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(RefitWeights(std::vector<float>(4), std::vector<float>(4), {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  hessian.Add(std::vector<float>{std::numeric_limits<float>::infinity(), 1});
  EXPECT_EQ(RefitWeights(std::vector<float>(2), std::vector<float>(2), {{hessian}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// Inputs of 8 columns, rows of them, and targets that follow x̂ with the factor `signal` and noise besides.
RefitSums SumsOf(uint32_t seed, int64_t rows, float signal, float noise) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  RefitSums sums{{Hessian(8)}, std::vector<float>(8)};
  for (int64_t row = 0; row < rows; ++row) {
    std::vector<float> x(8);
    for (float& value : x) value = normal(random);
    const float error = signal * x[0] + noise * normal(random);
    for (size_t k = 0; k < 8; ++k) sums.correlations[k] += error * x[k];
    sums.hessians[0].Add(x);
  }
  return sums;
}

TEST(ChooseDamping, SystematicErrorsAreFittedAndNoiseIsNot) {
  const auto systematic = ChooseDamping(SumsOf(1, 100, 1.0f, 0.1f), SumsOf(2, 100, 1.0f, 0.1f));
  ASSERT_TRUE(systematic.ok()) << systematic.status();
  EXPECT_EQ(*systematic, 0.01);
  const auto noise = ChooseDamping(SumsOf(3, 40, 0.05f, 1.0f), SumsOf(4, 40, 0.05f, 1.0f));
  ASSERT_TRUE(noise.ok()) << noise.status();
  EXPECT_EQ(*noise, 10);
}

TEST(RefitSums, OfTwoPartsAreThoseOfTheWhole) {
  RefitSums whole = SumsOf(5, 30, 1, 0);
  const RefitSums other = SumsOf(6, 20, 1, 0);
  const double before = whole.hessians[0].At(3, 2);
  const float correlation = whole.correlations[1];
  whole.Add(other);
  whole.Add({});
  EXPECT_EQ(whole.hessians[0].rows(), 50);
  EXPECT_FLOAT_EQ(static_cast<float>(whole.hessians[0].At(3, 2)),
                  static_cast<float>(before + other.hessians[0].At(3, 2)));
  EXPECT_EQ(whole.correlations[1], correlation + other.correlations[1]);
}

}  // namespace
}  // namespace bitstage
