#include "engine/quant/activation_grids.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/quant/random_values.h"

namespace bitstage {
namespace {

Histogram HistogramOf(const std::vector<float>& values) {
  Histogram histogram;
  histogram.Add(values);
  return histogram;
}

// Mean (x − x̂)² over the values themselves, by the grid's own arithmetic.
double TrueError(const std::vector<float>& values, const Grid& grid, int64_t channel) {
  double error = 0;
  for (const float x : values) {
    const double difference = x - grid.Real(grid.Code(x, channel), channel);
    error += difference * difference;
  }
  return error / static_cast<double>(values.size());
}

double Power(const std::vector<float>& values) { return HistogramOf(values).MeanSquare(); }

TEST(MeanSquaredErrorOfHistogram, IsNearTheTrueOneAtEveryWidth) {
  const std::vector<float> values = AfterRelu(200000, 1);
  const std::vector<Histogram> channels = {HistogramOf(values)};
  for (int bits = 1; bits <= 8; ++bits) {
    const Grid grid = UnsignedGrid(channels, bits, StepKind::kTensor, {ClipRule::kMse});
    const double truth = TrueError(values, grid, 0);
    EXPECT_NEAR(ChannelErrors(channels, grid)[0], truth, 0.08 * truth) << bits << " bits";
  }
}

TEST(MseStep, IsNotBeatenByAnyOfAThousandOtherSteps) {
  for (const int bits : {1, 2, 3, 4, 6}) {
    const Histogram histogram = HistogramOf(AfterRelu(20000, 2));
    const Levels levels = Levels::Unsigned(bits);
    const double found = MeanSquaredError(histogram, MseStep(histogram, levels), levels);
    double least = found;
    for (int i = 1; i <= 1000; ++i) {
      const double step = histogram.MaxAbs() / levels.high * i / 1000;
      least = std::min(least, MeanSquaredError(histogram, step, levels));
    }
    EXPECT_LE(found, 1.01 * least) << bits << " bits";
  }
}

// SQNR rises 6.0 dB a bit on smooth data.
TEST(MseStep, GivesSixDecibelsABit) {
  const std::vector<float> values = [] {
    std::vector<float> uniform;
    for (int i = 0; i < 100000; ++i) uniform.push_back(static_cast<float>(i) / 100000);
    return uniform;
  }();
  const Histogram histogram = HistogramOf(values);
  double previous = 0;
  for (int bits = 3; bits <= 7; ++bits) {
    const Levels levels = Levels::Unsigned(bits);
    const double error = MeanSquaredError(histogram, MseStep(histogram, levels), levels);
    const double sqnr = 10 * std::log10(histogram.MeanSquare() / error);
    if (previous != 0) {
      EXPECT_NEAR(sqnr - previous, 6.0, 0.4) << bits << " bits";
    }
    previous = sqnr;
  }
}

// At 3 bits after a ReLU the unsigned grid is worth about a bit, and the clip more on top.
TEST(UnsignedGrid, IsWorthABitOverThePapersGrid) {
  const std::vector<float> values = AfterRelu(100000, 3);
  const Histogram histogram = HistogramOf(values);
  const double direct = MeanSquaredError(histogram, histogram.MaxAbs() / 4, Levels::Signed(3));
  const double unclipped =
      MeanSquaredError(histogram, StepFor(histogram, Levels::Unsigned(3), {ClipRule::kMax}), Levels::Unsigned(3));
  const double clipped = MeanSquaredError(histogram, MseStep(histogram, Levels::Unsigned(3)), Levels::Unsigned(3));
  EXPECT_GT(10 * std::log10(direct / unclipped), 4);
  EXPECT_GT(10 * std::log10(unclipped / clipped), 1);
}

TEST(PercentileClip, LeavesTheFractionInside) {
  std::vector<float> values;
  for (int i = 1; i <= 1000; ++i) values.push_back(static_cast<float>(i % 2 == 0 ? i : -i));
  const Histogram histogram = HistogramOf(values);
  EXPECT_NEAR(PercentileClip(histogram, 0.9), 900, 2);
  EXPECT_NEAR(PercentileClip(histogram, 1.0), 1000, 1e-3);
}

class GridOfEveryKind : public testing::TestWithParam<StepKind> {};

TEST_P(GridOfEveryKind, IsValidAtEveryWidthWithADeadChannel) {
  const std::vector<Histogram> channels = {HistogramOf(AfterRelu(3000, 4, 0.1)), HistogramOf(std::vector<float>(3000)),
                                           HistogramOf(AfterRelu(3000, 5, 3.0))};
  for (int bits = 1; bits <= 8; ++bits) {
    for (const auto kind : {ClipRule::kMax, ClipRule::kMse, ClipRule::kPercentile}) {
      const Grid grid = UnsignedGrid(channels, bits, GetParam(), {kind});
      EXPECT_TRUE(Validate(grid, 3).ok()) << Validate(grid, 3);
      EXPECT_EQ(grid.Code(0, 1), 0);
      EXPECT_EQ(grid.zero_point, 0);
    }
  }
}

TEST_P(GridOfEveryKind, KeepsItsCodesWhenAllValuesScale) {
  std::vector<float> values = AfterRelu(4000, 6);
  std::vector<float> scaled = values;
  for (float& x : scaled) x *= 8;
  const std::vector<Histogram> a = {HistogramOf(values), HistogramOf(AfterRelu(4000, 7, 4))};
  const std::vector<Histogram> b = {HistogramOf(scaled), HistogramOf(AfterRelu(4000, 7, 32))};
  const Grid grid_a = UnsignedGrid(a, 4, GetParam(), {});
  const Grid grid_b = UnsignedGrid(b, 4, GetParam(), {});
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(grid_a.Code(values[i], 0), grid_b.Code(scaled[i], 0));
}

INSTANTIATE_TEST_SUITE_P(AllKinds, GridOfEveryKind,
                         testing::Values(StepKind::kTensor, StepKind::kChannel, StepKind::kPowerOfTwo));

TEST(UnsignedGrid, PlainMaximaClipNothing) {
  const std::vector<float> values = AfterRelu(1000, 8);
  const std::vector<Histogram> channels = {HistogramOf(values)};
  for (const auto kind : {StepKind::kTensor, StepKind::kChannel, StepKind::kPowerOfTwo}) {
    const Grid grid = UnsignedGrid(channels, 5, kind, {ClipRule::kMax});
    for (const float x : values)
      EXPECT_LE(std::abs(x - grid.Real(grid.Code(x, 0), 0)), 0.501 * grid.step[0] * (1 << grid.shift[0]));
  }
}

TEST(UnsignedGrid, ShiftsRecoverMostOfWhatAStepPerChannelGains) {
  std::vector<Histogram> channels;
  for (uint32_t c = 0; c < 16; ++c) channels.push_back(HistogramOf(AfterRelu(4000, 10 + c, std::exp2(-0.37 * c))));
  const auto total = [&](StepKind kind) {
    double sum = 0;
    for (const double error : ChannelErrors(channels, UnsignedGrid(channels, 4, kind, {}))) sum += error;
    return sum;
  };
  const double one_step = total(StepKind::kTensor);
  const double shifts = total(StepKind::kPowerOfTwo);
  const double steps = total(StepKind::kChannel);
  EXPECT_LT(steps, shifts);
  EXPECT_LT(shifts, 0.5 * one_step);
  EXPECT_LT(shifts, 1.4 * steps);
}

TEST(UnsignedGrid, NarrowCodesLeaveFewerShifts) {
  std::vector<Histogram> channels;
  for (uint32_t c = 0; c < 16; ++c) channels.push_back(HistogramOf(AfterRelu(4000, 10 + c, std::exp2(-0.37 * c))));
  for (const int code_bits : {4, 5, 6, 8}) {
    const Grid grid = UnsignedGrid(channels, 4, StepKind::kPowerOfTwo, {}, code_bits);
    EXPECT_TRUE(Validate(grid, 16).ok());
    EXPECT_LT(grid.MaxCode(), 1 << code_bits);
    EXPECT_GE(grid.MaxCode(), 15 << (code_bits - 4)) << "the widest channel has the largest shift";
  }
}

TEST(SignedGrid, IsSymmetricAndHoldsBothSigns) {
  const std::vector<float> values = Gaussian(5000, 9);
  const std::vector<Histogram> channels = {HistogramOf(values)};
  const Grid grid = SignedGrid(channels, 6, StepKind::kChannel, {});
  ASSERT_TRUE(Validate(grid, 1).ok());
  EXPECT_EQ(grid.zero_point, 32);
  EXPECT_LT(TrueError(values, grid, 0), 0.002 * Power(values));
}

TEST(AffineGrid, HoldsARangeThatIsNotSymmetricAndZeroExactly) {
  const Grid grid = AffineGrid(-2.118, 2.64, 8);
  ASSERT_TRUE(Validate(grid, 3).ok());
  EXPECT_EQ(grid.Real(grid.Code(0, 0), 0), 0);
  EXPECT_NEAR(grid.Real(grid.Code(-2.118f, 0), 0), -2.118, grid.step[0]);
  EXPECT_NEAR(grid.Real(grid.Code(2.64f, 0), 0), 2.64, grid.step[0]);
}

TEST(AffineGrid, ClipsFarOutliersWhereThatCostsLess) {
  std::vector<float> values = Gaussian(20000, 11);
  for (float& x : values) x += 1.5f;
  values.push_back(40);
  const std::vector<Histogram> channels = {HistogramOf(values)};
  const Grid clipped = AffineGrid(channels, 4, {ClipRule::kMse});
  const Grid whole = AffineGrid(channels, 4, {ClipRule::kMax});
  EXPECT_LT(TrueError(values, clipped, 0), 0.5 * TrueError(values, whole, 0));
}

TEST(AffineGrid, OfOneSidedRangesStartsOrEndsAtZero) {
  EXPECT_EQ(AffineGrid(0.5, 4, 8).zero_point, 0);
  EXPECT_EQ(AffineGrid(-4, -1, 8).zero_point, 255);
  EXPECT_TRUE(Validate(AffineGrid(0, 0, 8), 1).ok());
}

}  // namespace
}  // namespace bitstage
