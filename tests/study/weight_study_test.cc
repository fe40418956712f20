#include "engine/study/weight_study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::Optional;
using ::testing::SizeIs;

Graph Network() {
  GraphBuilder b(7);
  const ValueId x = b.Input({2, 6, 6});
  const ValueId y = b.Add(b.MakeConv({2, 6, 6}, 8, 3, 1, 1), {x});
  const ValueId z = b.Add(Unary{UnaryKind::kClamp, 0, 1e30f}, {y});
  const ValueId p = b.Add(GlobalAveragePool{.keep_dims = false}, {z});
  return b.Finish({b.Add(b.MakeFullyConnected(8, 4), {p})});
}

// Labels are what the network says: it is always right.
WeightStudy Study(int64_t images) {
  const Tensor batch = RandomTensor({images, 2, 6, 6}, 3);
  auto plain = WeightStudy::Create(Network(), batch.Clone(), std::vector<int>(static_cast<size_t>(images)), nullptr);
  EXPECT_TRUE(plain.ok()) << plain.status();
  const Tensor z = *plain->Run(batch);
  std::vector<int> labels;
  for (int64_t n = 0; n < images; ++n) {
    const float* first = z.Span<float>().data() + 4 * n;
    labels.push_back(static_cast<int>(std::max_element(first, first + 4) - first));
  }
  return *WeightStudy::Create(Network(), batch.Clone(), std::move(labels), nullptr);
}

TEST(RoundMinMax, SpreadsItsLevelsFromTheLeastToTheLargest) {
  std::vector<float> weights = {-1, -0.4f, 0.1f, 0.6f, 2};
  RoundMinMax(weights, 2);
  EXPECT_THAT(weights, ElementsAre(FloatEq(-1), FloatEq(0), FloatEq(0), FloatEq(1), FloatEq(2)));
  std::vector<float> alike = {3, 3};
  RoundMinMax(alike, 2);
  EXPECT_THAT(alike, Each(3.0f));
}

TEST(CandidateWidths, EqualOnesAreEqualAndOthersFallInNoiseAsTheyGrow) {
  const std::vector<LayerNoise> layers = {{8e4, 0.5, 9408}, {2e4, 1, 73728}, {1e3, 4, 512000}};
  const auto equal = CandidateWidths(WidthMethod::kEqual, layers);
  EXPECT_THAT(equal.front(), ElementsAre(2, 2, 2));
  EXPECT_THAT(equal.back(), ElementsAre(10, 10, 10));
  for (const WidthMethod method : {WidthMethod::kSqnr, WidthMethod::kAdaptive}) {
    const auto candidates = CandidateWidths(method, layers);
    ASSERT_GT(candidates.size(), 10u);
    double size = 0;
    double noise = 1e30;
    for (const LayerWidths& widths : candidates) {
      const std::vector<double> bits(widths.begin(), widths.end());
      EXPECT_GE(MeanBits(layers, bits), size + 0.1 - 1e-9);
      EXPECT_LT(TotalNoise(layers, bits), noise);
      size = MeanBits(layers, bits);
      noise = TotalNoise(layers, bits);
    }
  }
}

TEST(SavingAtEqualNoise, IsAgainstTheWidthInterpolatedInLogNoise) {
  const std::vector<SizePoint> equal = {{2, 4.0}, {3, 1.0}, {4, 0.25}};
  EXPECT_THAT(SavingAtEqualNoise({2, 1.0}, equal), Optional(DoubleNear(1 - 2.0 / 3, 1e-12)));
  EXPECT_THAT(SavingAtEqualNoise({3, 0.5}, equal), Optional(DoubleNear(1 - 3.0 / 3.5, 1e-12)));
  EXPECT_EQ(SavingAtEqualNoise({5, 0.1}, equal), std::nullopt) << "quieter than every width";
}

TEST(WeightStudy, WidthsQuietenAndFloatComesBackWhole) {
  WeightStudy study = Study(16);
  EXPECT_EQ(*study.NoiseOverMargin(), 0);
  ASSERT_TRUE(study.Round({2, 2}).ok());
  const double loud = *study.NoiseOverMargin();
  ASSERT_TRUE(study.Round({8, 8}).ok());
  const double quiet = *study.NoiseOverMargin();
  EXPECT_GT(loud, 50 * quiet);
  EXPECT_GT(quiet, 0);
  ASSERT_TRUE(study.Round({}).ok());
  EXPECT_EQ(*study.NoiseOverMargin(), 0);
  EXPECT_EQ(study.Round({8}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(WeightStudy, MeasuresWhatItsFormulaPredicts) {
  WeightStudy study = Study(64);
  const auto layers = study.MeasureLayers(0.2, 1, {});
  ASSERT_TRUE(layers.ok()) << layers.status();
  ASSERT_THAT(*layers, SizeIs(2));
  EXPECT_EQ((*layers)[0].s, 8 * 2 * 9);
  EXPECT_EQ((*layers)[1].s, 8 * 4);
  for (const LayerNoise& layer : *layers) EXPECT_GT(layer.t, 0);
  EXPECT_EQ(*study.NoiseOverMargin(), 0) << "measuring leaves the network as it was";
  // Both layers at 7 bits: the sum of p e^(−7α) within what rounding so few weights varies by.
  ASSERT_TRUE(study.Round({7, 7}).ok());
  const double predicted = ((*layers)[0].p + (*layers)[1].p) * std::exp(-7 * kNoisePerBit) / study.margin();
  const double found = *study.NoiseOverMargin();
  EXPECT_GT(found, predicted / 4);
  EXPECT_LT(found, predicted * 4);
}

TEST(WeightStudy, RefusesLabelsThatDoNotFitTheImages) {
  EXPECT_EQ(WeightStudy::Create(Network(), RandomTensor({4, 2, 6, 6}, 3), {1, 2}, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace bitstage
