#include "engine/quant/histogram.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "tests/quant/random_values.h"

namespace bitstage {
namespace {

std::vector<std::pair<double, uint64_t>> BinsOf(const Histogram& histogram) {
  std::vector<std::pair<double, uint64_t>> bins;
  histogram.ForEachBin([&](double x, uint64_t n) { bins.emplace_back(x, n); });
  return bins;
}

TEST(Histogram, StateDoesNotDependOnOrderOrBatching) {
  std::vector<float> values = Gaussian(5000, 1);
  values[4321] = 400;  // an outlier that comes late makes the bins grow
  values[17] = 0;
  Histogram at_once;
  at_once.Add(values);
  Histogram in_batches;
  for (size_t i = 0; i < values.size(); i += 100) in_batches.Add(std::span(values).subspan(i, 100));
  std::reverse(values.begin(), values.end());
  Histogram reversed;
  for (size_t i = 0; i < values.size(); i += 250) reversed.Add(std::span(values).subspan(i, 250));
  EXPECT_EQ(BinsOf(at_once), BinsOf(in_batches));
  EXPECT_EQ(BinsOf(at_once), BinsOf(reversed));
}

TEST(Histogram, MergingEqualsAddingEverything) {
  const std::vector<float> narrow = AfterRelu(1000, 2);
  const std::vector<float> wide = Gaussian(1000, 3, 50);
  Histogram all;
  all.Add(narrow);
  all.Add(wide);
  Histogram a;
  a.Add(narrow);
  Histogram b;
  b.Add(wide);
  Histogram b_into_a = a;
  b_into_a.Merge(b);
  b.Merge(a);
  EXPECT_EQ(BinsOf(all), BinsOf(b_into_a));
  EXPECT_EQ(BinsOf(all), BinsOf(b));
  EXPECT_EQ(all.count(), b.count());
  EXPECT_NEAR(all.Mean(), b.Mean(), 1e-9);
}

TEST(Histogram, UsesAtLeastAQuarterOfItsBinsForTheRange) {
  for (const double scale : {1e-6, 0.03, 1.0, 7.0, 1e5}) {
    Histogram histogram;
    histogram.Add(AfterRelu(2000, 4, scale));
    EXPECT_LE(histogram.bin_width() * Histogram::kDefaultBins / 4, histogram.MaxAbs());
  }
}

TEST(Histogram, KeepsMomentsAndRange) {
  Histogram histogram;
  histogram.Add(std::vector<float>{0, -2, 1, 4, 0});
  EXPECT_EQ(histogram.count(), 5u);
  EXPECT_EQ(histogram.zeros(), 2u);
  EXPECT_EQ(histogram.min(), -2);
  EXPECT_EQ(histogram.max(), 4);
  EXPECT_EQ(histogram.MaxAbs(), 4);
  EXPECT_DOUBLE_EQ(histogram.Mean(), 0.6);
  EXPECT_DOUBLE_EQ(histogram.MeanSquare(), 21.0 / 5);
}

TEST(Histogram, BinsLieWithinOneWidthOfTheirValues) {
  const std::vector<float> values = {-3.7f, -0.001f, 0.5f, 8.25f};
  Histogram histogram;
  histogram.Add(values);
  const auto bins = BinsOf(histogram);
  ASSERT_EQ(bins.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(bins[i].first, values[i], histogram.bin_width() / 2);
}

TEST(Histogram, CountsButLeavesOutWhatIsNotFinite) {
  Histogram histogram;
  const float infinity = std::numeric_limits<float>::infinity();
  histogram.Add(std::vector<float>{1, infinity, -infinity, std::nanf(""), 2});
  EXPECT_EQ(histogram.not_finite(), 3u);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.max(), 2);
}

TEST(Histogram, HoldsTheExtremesOfFloat) {
  Histogram histogram;
  histogram.Add(std::vector<float>{std::numeric_limits<float>::denorm_min()});
  histogram.Add(std::vector<float>{std::numeric_limits<float>::max(), -std::numeric_limits<float>::max()});
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_EQ(BinsOf(histogram).size(), 3u);
}

TEST(Histogram, EmptyOrAllZeroHasNoRange) {
  Histogram histogram;
  EXPECT_EQ(histogram.MaxAbs(), 0);
  histogram.Add(std::vector<float>(7));
  EXPECT_EQ(histogram.MaxAbs(), 0);
  EXPECT_EQ(BinsOf(histogram), (std::vector<std::pair<double, uint64_t>>{{0.0, 7}}));
}

}  // namespace
}  // namespace bitstage
