#include "engine/quant/rate_rounding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/quant/second_order.h"
#include "engine/quant/weights.h"
#include "tests/quant/random_values.h"

namespace bitstage {
namespace {

constexpr int64_t kSize = 72;
const Shape kShape = {40, 8, 3, 3};

std::vector<Hessian> CorrelatedInputs() {
  std::vector<float> rows = Gaussian(400 * kSize, 6);
  for (size_t i = 1; i < rows.size(); ++i) {
    if (i % kSize != 0) rows[i] += 0.8f * rows[i - 1];
  }
  std::vector<Hessian> hessians(1, Hessian(kSize));
  hessians[0].Add(rows);
  return hessians;
}

TEST(EntropyBits, AreThoseOfAFairCoinAndOfCertainty) {
  EXPECT_DOUBLE_EQ(EntropyBits(std::vector<int8_t>{1, -1, 1, -1}), 1);
  EXPECT_DOUBLE_EQ(EntropyBits(std::vector<int8_t>{3, 3, 3}), 0);
  EXPECT_DOUBLE_EQ(EntropyBits(std::vector<int8_t>{0, 1, 2, -128}), 2);
}

TEST(RoundForRate, TakesAboutTheBitsAskedForAndABitMoreQuartersTheError) {
  const std::vector<float> weights = Gaussian(static_cast<size_t>(kShape.elements()), 5, 0.1);
  const std::vector<Hessian> hessians = CorrelatedInputs();
  double last = 0;
  for (const double bits : {2.0, 3.0, 4.0, 5.0}) {
    const auto codes = RoundForRate(kShape, weights, hessians, {.bits = bits});
    ASSERT_TRUE(codes.ok()) << codes.status();
    EXPECT_TRUE(Validate(*codes).ok());
    EXPECT_NEAR(EntropyBits(codes->codes), bits, 0.5);
    const double error = OutputError(weights, *codes, hessians);
    if (last > 0) {
      EXPECT_NEAR(last / error, 4, 1.2);
    }
    last = error;
  }
}

TEST(RoundForRate, BeatsCodesOfFixedWidthAtTheSameEntropy) {
  const std::vector<float> weights = Gaussian(static_cast<size_t>(kShape.elements()), 5, 0.1);
  const std::vector<Hessian> hessians = CorrelatedInputs();
  const WeightCodes start = UniformWeights(kShape, weights, 3, ScaleKind::kChannel, WeightClip::kMse);
  const auto fixed = RoundSecondOrder(weights, start, hessians, {.rounds = 3});
  ASSERT_TRUE(fixed.ok());
  // The finest steps that take no more.
  double least = std::numeric_limits<double>::infinity();
  for (double bits = 1; bits < 4; bits += 0.05) {
    const auto codes = RoundForRate(kShape, weights, hessians, {.bits = bits});
    ASSERT_TRUE(codes.ok());
    if (EntropyBits(codes->codes) <= EntropyBits(fixed->codes)) {
      least = std::min(least, OutputError(weights, *codes, hessians));
    }
  }
  EXPECT_LT(least, 0.9 * OutputError(weights, *fixed, hessians));
}

TEST(RoundForRate, TakesTheNarrowestWidthAndASmallHessianAGroup) {
  const Shape shape = {6, 1, 3, 3};
  const std::vector<float> weights = Gaussian(54, 10);
  const std::vector<double> alike(9, 1.0);
  const std::vector<Hessian> hessians(6, Hessian::Diagonal(alike, 1));
  for (const double bits : {0.5, 2.0, 4.0, 9.0}) {
    const auto codes = RoundForRate(shape, weights, hessians, {.bits = bits});
    ASSERT_TRUE(codes.ok());
    EXPECT_TRUE(Validate(*codes).ok());
    int largest = 1;
    for (const int8_t code : codes->codes) largest = std::max(largest, std::abs(code));
    EXPECT_LE(largest, codes->MaxMagnitude());
    EXPECT_TRUE(codes->bits == 2 || largest > codes->MaxMagnitude() / 2);
  }
}

TEST(RoundForRate, ManagesWeightsOfZeroAndRefusesWhatDoesNotFit) {
  const std::vector<float> zeros(static_cast<size_t>(kShape.elements()));
  const std::vector<Hessian> hessians = CorrelatedInputs();
  const auto codes = RoundForRate(kShape, zeros, hessians, {.bits = 3});
  ASSERT_TRUE(codes.ok()) << codes.status();
  EXPECT_TRUE(Validate(*codes).ok());
  EXPECT_EQ(RoundForRate(kShape, std::span(zeros).first(8), hessians, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  std::vector<Hessian> hostile(1, Hessian(kSize));
  hostile[0].Add(std::vector<float>(kSize, std::numeric_limits<float>::quiet_NaN()));
  EXPECT_EQ(RoundForRate(kShape, zeros, hostile, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace bitstage
