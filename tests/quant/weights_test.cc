#include "engine/quant/weights.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/quant/random_values.h"

namespace bitstage {
namespace {

double SquaredDistance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return sum;
}

const Shape kShape = {8, 16, 3, 3};

class EveryWidth : public testing::TestWithParam<int> {};

TEST_P(EveryWidth, IsValidAndSymmetricForBothKindsAndClips) {
  const std::vector<float> weights = Gaussian(static_cast<size_t>(kShape.elements()), 1, 0.1);
  std::vector<float> negated = weights;
  for (float& w : negated) w = -w;
  for (const auto kind : {ScaleKind::kLayer, ScaleKind::kChannel}) {
    for (const auto clip : {WeightClip::kMax, WeightClip::kMse}) {
      const WeightCodes codes = UniformWeights(kShape, weights, GetParam(), kind, clip);
      ASSERT_TRUE(Validate(codes).ok()) << Validate(codes);
      const WeightCodes mirrored = UniformWeights(kShape, negated, GetParam(), kind, clip);
      EXPECT_EQ(codes.scale, mirrored.scale);
      for (size_t i = 0; i < codes.codes.size(); ++i) EXPECT_EQ(codes.codes[i], -mirrored.codes[i]);
    }
  }
}

TEST_P(EveryWidth, MseClipIsNeverWorseThanTheMaximumAndChannelsNeverWorseThanTheLayer) {
  const std::vector<float> weights = Gaussian(static_cast<size_t>(kShape.elements()), 2, 0.1);
  const auto error = [&](ScaleKind kind, WeightClip clip) {
    return SquaredDistance(weights, UniformWeights(kShape, weights, GetParam(), kind, clip).Dequantized());
  };
  EXPECT_LE(error(ScaleKind::kChannel, WeightClip::kMse), error(ScaleKind::kChannel, WeightClip::kMax));
  EXPECT_LE(error(ScaleKind::kLayer, WeightClip::kMse), error(ScaleKind::kLayer, WeightClip::kMax));
  EXPECT_LE(error(ScaleKind::kChannel, WeightClip::kMse), error(ScaleKind::kLayer, WeightClip::kMse));
}

TEST_P(EveryWidth, ScaleOfTheMseClipIsNotBeatenByAThousandOthers) {
  const std::vector<float> weights = Gaussian(600, 3);
  const int magnitude = (1 << (GetParam() - 1)) - 1;
  const auto error = [&](double scale) {
    double sum = 0;
    for (const float w : weights) sum += std::pow(w - scale * NearestCode(w / scale, Codebook::kUniform, magnitude), 2);
    return sum;
  };
  const double found = error(UniformScale(weights, magnitude, WeightClip::kMse));
  const double widest = UniformScale(weights, magnitude, WeightClip::kMax);
  for (int i = 1; i <= 1000; ++i) EXPECT_LE(found, 1.03 * error(widest * i / 1000));
}

INSTANTIATE_TEST_SUITE_P(Bits, EveryWidth, testing::Range(2, 9));

TEST(UniformWeights, PlainMaximumRoundsEveryWeightToTheNearest) {
  const std::vector<float> weights = Gaussian(static_cast<size_t>(kShape.elements()), 4);
  const WeightCodes codes = UniformWeights(kShape, weights, 8, ScaleKind::kChannel, WeightClip::kMax);
  const std::vector<float> values = codes.Dequantized();
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_LE(std::abs(weights[i] - values[i]), 0.5001 * codes.ScaleOf(static_cast<int64_t>(i) / 144));
  }
}

TEST(UniformWeights, ChannelsOfZerosAndLayersOfZerosAreValid) {
  std::vector<float> weights = Gaussian(static_cast<size_t>(kShape.elements()), 5);
  std::fill_n(weights.begin(), 144, 0.0f);
  const WeightCodes codes = UniformWeights(kShape, weights, 4, ScaleKind::kChannel, WeightClip::kMse);
  EXPECT_TRUE(Validate(codes).ok()) << Validate(codes);
  EXPECT_EQ(codes.codes[0], 0);
  std::fill(weights.begin(), weights.end(), 0.0f);
  EXPECT_TRUE(Validate(UniformWeights(kShape, weights, 4, ScaleKind::kLayer, WeightClip::kMse)).ok());
}

TEST(NearestCode, RoundsHalfToEvenAndHasNoBinaryZero) {
  EXPECT_EQ(NearestCode(0.5, Codebook::kUniform, 7), 0);
  EXPECT_EQ(NearestCode(1.5, Codebook::kUniform, 7), 2);
  EXPECT_EQ(NearestCode(-9, Codebook::kUniform, 7), -7);
  EXPECT_EQ(NearestCode(0.2, Codebook::kTernary, 1), 0);
  EXPECT_EQ(NearestCode(0, Codebook::kBinary, 1), 1);
  EXPECT_EQ(NearestCode(-0.1, Codebook::kBinary, 1), -1);
}

TEST(UniformWeights, ImportanceMovesTheScaleToWhatCounts) {
  const Shape shape = {1, 8};
  const std::vector<float> weights = {0.11f, -0.09f, 0.1f, 0.12f, -0.11f, 0.08f, 0.1f, 1.0f};
  const auto error = [&](std::span<const double> importance) {
    const std::vector<float> found =
        UniformWeights(shape, weights, 3, ScaleKind::kChannel, WeightClip::kMse, importance).Dequantized();
    double sum = 0;  // of the small weights
    for (size_t i = 0; i + 1 < weights.size(); ++i) sum += (weights[i] - found[i]) * (weights[i] - found[i]);
    return sum;
  };
  const std::vector<double> small_ones_count = {1, 1, 1, 1, 1, 1, 1, 1e-6};
  EXPECT_LT(error(small_ones_count), error({}) / 4);
}

}  // namespace
}  // namespace bitstage
