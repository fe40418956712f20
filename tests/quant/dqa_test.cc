#include "engine/quant/dqa.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "engine/quant/dqa_importance.h"
#include "tests/quant/random_values.h"

namespace bitstage {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

std::vector<int> Shifted(const DqaChannel& channel, int m) {
  std::vector<int> q;
  for (const int code : channel.codes) q.push_back(ShiftedCode(code, m));
  return q;
}

std::vector<int> Errors(const DqaChannel& channel, int m) {
  std::vector<int> e;
  for (const int code : channel.codes) e.push_back(ShiftingError(code, m));
  return e;
}

// Golden vectors, derived by hand.
TEST(DqaGolden, RampAtThreeAndThreeBits) {
  const std::vector<float> ramp = {0, 1, 2, 3, 4, 5, 6};
  const DqaChannel channel = QuantizeDqa(ramp, 3, 3);
  EXPECT_THAT(channel.codes, ElementsAre(0, 5, 11, 16, 21, 27, 31));
  EXPECT_THAT(Shifted(channel, 3), ElementsAre(0, 0, 1, 2, 2, 3, 3));
  EXPECT_THAT(Errors(channel, 3), ElementsAre(0, 5, 3, 0, 5, 3, 7));
  const std::vector<double> expected = {0, .9375, 2.0625, 3, 3.9375, 5.0625, 5.8125};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_DOUBLE_EQ(channel.Real(i), expected[i]);
}

TEST(DqaGolden, SignedValuesAtThreeAndThreeBits) {
  const std::vector<float> values = {-1, -.6f, -.11f, 0, .05f, .3f, .77f, .96f};
  const DqaChannel channel = QuantizeDqa(values, 3, 3);
  EXPECT_THAT(channel.codes, ElementsAre(-32, -19, -4, 0, 2, 10, 25, 31));
  EXPECT_THAT(Shifted(channel, 3), ElementsAre(-4, -3, -1, 0, 0, 1, 3, 3));
  EXPECT_THAT(Errors(channel, 3), ElementsAre(0, 5, 4, 0, 2, 2, 1, 7));
  EXPECT_THAT(QuantizeDqa(values, 3, 0).codes, ElementsAre(-4, -2, 0, 0, 0, 1, 3, 3));
}

TEST(DqaGolden, NegativeCodesShiftArithmetically) {
  EXPECT_EQ(ShiftedCode(-19, 3), -3);
  EXPECT_EQ(ShiftingError(-19, 3), 5);
}

TEST(DqaGolden, TiesGoToEven) {
  EXPECT_THAT(QuantizeDqa(std::vector<float>{0.125f, 0.375f, 0.625f, 1}, 3, 0).codes, ElementsAre(0, 2, 2, 3));
}

TEST(DqaGolden, SqnrIsTwelveDecibelsAtThreeBitsAndSixMoreForEveryOther) {
  const std::vector<float> values = AfterRelu(4000, 9);
  for (int n = 3; n <= 6; ++n) {
    const DqaChannel channel = QuantizeDqa(values, n, 0);
    double signal = 0;
    double noise = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      signal += static_cast<double>(values[i]) * values[i];
      noise += std::pow(values[i] - channel.Real(i), 2);
    }
    EXPECT_NEAR(10 * std::log10(signal / noise), 12 + 6 * (n - 3), 0.7) << n << " bits";
  }
}

TEST(Dqa, AChannelOfZerosHasCodesZero) {
  const DqaChannel channel = QuantizeDqa(std::vector<float>(5), 3, 3);
  EXPECT_EQ(channel.step, 0);
  EXPECT_THAT(channel.codes, ElementsAre(0, 0, 0, 0, 0));
}

TEST(Dqa, IsScaleInvariant) {
  const std::vector<float> values = Gaussian(500, 1);
  std::vector<float> scaled = values;
  for (float& x : scaled) x *= 64;
  EXPECT_EQ(QuantizeDqa(values, 3, 2).codes, QuantizeDqa(scaled, 3, 2).codes);
}

TEST(Dqa, ReconstructionFromShiftedCodeAndErrorIsExact) {
  const std::vector<float> values = Gaussian(500, 2);
  const DqaChannel channel = QuantizeDqa(values, 4, 3);
  const double coarse_step = DqaStep(channel.max_abs, 4);
  for (size_t i = 0; i < values.size(); ++i) {
    const int code = channel.codes[i];
    EXPECT_DOUBLE_EQ(channel.Real(i), coarse_step * (ShiftedCode(code, 3) + ShiftingError(code, 3) / 8.0));
  }
}

class LiteralGrid : public testing::TestWithParam<int> {};

TEST_P(LiteralGrid, HoldsThePapersCodesOfBothKindsOfChannel) {
  const int n = 3;
  const int m = GetParam();
  const std::vector<std::vector<float>> values = {Gaussian(300, 3), Gaussian(300, 4, 5), AfterRelu(300, 5)};
  const ImportantChannels important = {1, 0, 1};
  std::vector<double> maxima;
  for (const auto& channel : values) maxima.push_back(QuantizeDqa(channel, n, 0).max_abs);
  const Grid grid = LiteralDqaGrid(maxima, important, n, m);
  ASSERT_TRUE(Validate(grid, 3).ok()) << Validate(grid, 3);
  for (int64_t c = 0; c < 3; ++c) {
    const auto at = static_cast<size_t>(c);
    const int extra = important[at] != 0 ? m : 0;
    const DqaChannel paper = QuantizeDqa(values[at], n, extra);
    for (size_t i = 0; i < values[at].size(); ++i) {
      EXPECT_EQ(grid.Symbol(values[at][i], c) - (1 << (n + extra - 1)), paper.codes[i]);
      EXPECT_NEAR(grid.Real(grid.Code(values[at][i], c), c), paper.Real(i), 1e-5 * maxima[at]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(ExtraBits, LiteralGrid, testing::Values(0, 1, 2, 3, 5));

// r = 0 and r = 1.
TEST(LiteralGridEnds, NoImportantChannelIsDirectNAndAllAreDirectNPlusM) {
  const std::vector<float> values = Gaussian(400, 6);
  const std::vector<double> maxima = {QuantizeDqa(values, 3, 0).max_abs};
  const Grid none = LiteralDqaGrid(maxima, {0}, 3, 2);
  const Grid all = LiteralDqaGrid(maxima, {1}, 3, 2);
  const DqaChannel direct3 = QuantizeDqa(values, 3, 0);
  const DqaChannel direct5 = QuantizeDqa(values, 5, 0);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(none.Symbol(values[i], 0) - 4, direct3.codes[i]);
    EXPECT_EQ(all.Symbol(values[i], 0) - 16, direct5.codes[i]);
  }
}

TEST(LiteralGridEnds, AChannelOfZerosIsValid) {
  EXPECT_TRUE(Validate(LiteralDqaGrid(std::vector<double>{0}, {0}, 3, 3), 1).ok());
}

TEST(ServedDqaGrid, GivesImportantChannelsTheFinerHalfOfOneCodeRange) {
  std::vector<Histogram> channels(4);
  for (uint32_t c = 0; c < 4; ++c) channels[c].Add(AfterRelu(2000, 20 + c));
  const Grid grid = ServedDqaGrid(channels, {1, 0, 1, 0}, 3, 2, StepKind::kTensor, {});
  ASSERT_TRUE(Validate(grid, 4).ok());
  EXPECT_EQ(grid.step.size(), 1u);
  EXPECT_THAT(grid.bits, ElementsAre(5, 3, 5, 3));
  EXPECT_THAT(grid.shift, ElementsAre(0, 2, 0, 2));
  const std::vector<double> errors = ChannelErrors(channels, grid);
  EXPECT_LT(errors[0], 0.3 * errors[1]);
}

TEST(ServedDqaGrid, IsValidForEveryKindAndSplit) {
  std::vector<Histogram> channels(3);
  for (uint32_t c = 0; c < 3; ++c) channels[c].Add(AfterRelu(500, 30 + c, 1 + 3 * c));
  for (const auto kind : {StepKind::kTensor, StepKind::kChannel, StepKind::kPowerOfTwo}) {
    for (int n = 1; n <= 8; ++n) {
      for (int m = 0; n + m <= 8; ++m) {
        const Grid grid = ServedDqaGrid(channels, {0, 1, 0}, n, m, kind, {});
        EXPECT_TRUE(Validate(grid, 3).ok()) << Validate(grid, 3);
      }
    }
  }
}

TEST(MseGains, AreLargestWhereThreeBitsHurtMost) {
  std::vector<Histogram> channels(3);
  channels[0].Add(AfterRelu(2000, 40, 0.1));
  channels[1].Add(AfterRelu(2000, 41, 4.0));
  channels[2].Add(AfterRelu(2000, 42, 1.0));
  for (const auto mode : {DqaMode::kLiteral, DqaMode::kServed}) {
    const std::vector<double> gains = MseGains(channels, 3, 1, mode);
    EXPECT_GT(gains[1], gains[2]);
    EXPECT_GT(gains[2], gains[0]);
    EXPECT_GT(gains[0], 0);
  }
}

TEST(TopChannels, KeepsTheFloorOfTheShareAndTheFirstOfEqualScores) {
  EXPECT_THAT(TopChannels(std::vector<double>{1, 5, 5, 5, 0}, 0.4), ElementsAre(0, 1, 1, 0, 0));
  EXPECT_THAT(TopChannels(std::vector<double>{1, 2, 3}, 0.3), ElementsAre(0, 0, 0));
  EXPECT_THAT(TopChannels(std::vector<double>{1, 2, 3}, 1.0), ElementsAre(1, 1, 1));
}

// Two layers of three and two channels whose channels cost accuracy independently of one another.
TEST(GreedyImportance, ScansLayerByLayerAndKeepsTheBestChannelFloat) {
  const std::vector<std::vector<double>> cost = {{1, 8, 2}, {3, 4}};
  std::vector<QuantizedChannels> asked;
  const std::vector<int64_t> channels = {3, 2};
  const auto importance = GreedyImportance(channels, [&](const QuantizedChannels& quantized) -> absl::StatusOr<double> {
    asked.push_back(quantized);
    double accuracy = 100;
    for (size_t l = 0; l < cost.size(); ++l) {
      for (size_t c = 0; c < cost[l].size(); ++c) accuracy -= quantized[l][c] * cost[l][c];
    }
    return accuracy;
  });
  ASSERT_TRUE(importance.ok());
  EXPECT_THAT(asked, ElementsAreArray(std::vector<QuantizedChannels>{
                         {{0, 1, 1}, {0, 0}},
                         {{1, 0, 1}, {0, 0}},
                         {{1, 1, 0}, {0, 0}},
                         {{1, 0, 1}, {0, 1}},  // channel 1 of layer 0 was the best one found
                         {{1, 0, 1}, {1, 0}},
                     }));
  EXPECT_THAT(*importance, ElementsAre(ElementsAre(90, 97, 91), ElementsAre(93, 94)));
}

TEST(GreedyImportance, ReturnsTheErrorOfAnEvaluation) {
  const std::vector<int64_t> channels = {2};
  const auto importance = GreedyImportance(
      channels, [](const QuantizedChannels&) -> absl::StatusOr<double> { return absl::CancelledError("stopped"); });
  EXPECT_EQ(importance.status(), absl::CancelledError("stopped"));
}

}  // namespace
}  // namespace bitstage
