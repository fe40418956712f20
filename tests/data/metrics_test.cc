#include "engine/data/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "engine/data/segmentation_metrics.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;

TEST(ArgMax, TiesGoToTheLowerOutputAndNanLoses) {
  EXPECT_EQ(TopOutput(std::vector<float>{1, 3, 3, 2}), 1);
  EXPECT_EQ(TopOutput(std::vector<float>{NAN, -5, NAN, -4}), 3);
  EXPECT_EQ(TopOutput(std::vector<float>{NAN, NAN}), 0);
}

TEST(RankOf, CountsWhatComesBefore) {
  const std::vector<float> logits = {5, 1, 5, NAN, 7};
  EXPECT_EQ(RankOf(logits, 4), 0);
  EXPECT_EQ(RankOf(logits, 0), 1);
  EXPECT_EQ(RankOf(logits, 2), 2);
  EXPECT_EQ(RankOf(logits, 1), 3);
  EXPECT_EQ(RankOf(logits, 3), 4);
}

TEST(ClassificationCounts, CountsTop1AndTop5) {
  ClassificationCounts counts;
  const std::vector<float> logits = {0, 1, 2, 3, 4, 5, 6};
  counts.Add(logits, 6);
  counts.Add(logits, 2);                      // fifth
  counts.Add(logits, 1);                      // sixth
  counts.Add(logits, 5, /*class_offset=*/1);  // output 6
  counts.Add(logits, 6, /*class_offset=*/1);  // no such output
  EXPECT_EQ(counts.images, 5);
  EXPECT_EQ(counts.top1, 2);
  EXPECT_EQ(counts.top5, 3);
  EXPECT_DOUBLE_EQ(counts.Top1(), 0.4);
  EXPECT_DOUBLE_EQ(counts.Top5(), 0.6);
}

TEST(ClassificationCounts, FewerThanFiveOutputsAreAllInTheTop5) {
  ClassificationCounts counts;
  counts.Add(std::vector<float>{1, 0}, 1);
  EXPECT_EQ(counts.top1, 0);
  EXPECT_EQ(counts.top5, 1);
}

TEST(PairedCounts, CountsAgreementLostAndWon) {
  PairedCounts counts;
  counts.Add(3, 3, 3);
  counts.Add(3, 3, 1);  // wrong together
  counts.Add(3, 2, 3);  // lost
  counts.Add(1, 2, 2);  // won
  counts.Add(1, 2, 4);  // wrong apart
  counts.Add(7, 7);
  EXPECT_EQ(counts.images, 6);
  EXPECT_EQ(counts.labelled, 5);
  EXPECT_EQ(counts.agreeing, 3);
  EXPECT_EQ(counts.lost, 1);
  EXPECT_EQ(counts.won, 1);
  EXPECT_DOUBLE_EQ(counts.Agreement(), 0.5);
}

// 8 of 10: centre (0.8 + z²/20) / (1 + z²/10) = 0.71674, half width 0.22658.
TEST(WilsonInterval, EqualsHandComputedNumbers) {
  const Interval interval = WilsonInterval(8, 10);
  EXPECT_NEAR(interval.low, 0.49016, 1e-5);
  EXPECT_NEAR(interval.high, 0.94332, 1e-5);
  EXPECT_EQ(WilsonInterval(0, 10).low, 0.0);
  EXPECT_NEAR(WilsonInterval(0, 10).high, 0.27753, 1e-5);  // z² / (10 + z²)
  EXPECT_NEAR(WilsonInterval(10, 10).low, 1.0 - 0.27753, 1e-5);
  EXPECT_EQ(WilsonInterval(0, 0).low, 0.0);
  EXPECT_EQ(WilsonInterval(0, 0).high, 1.0);
}

// 10 lost and 4 won of 800: −6/802 ± z·sqrt((15/802 − (6/802)²) / 802).
TEST(PairedDifferenceInterval, EqualsHandComputedNumbers) {
  const Interval interval = PairedDifferenceInterval(10, 4, 800);
  EXPECT_NEAR(interval.low, -0.016932, 1e-6);
  EXPECT_NEAR(interval.high, 0.001970, 1e-6);
}

TEST(PairedDifferenceInterval, IsNotEmptyWhereNothingDiffers) {
  const Interval interval = PairedDifferenceInterval(0, 0, 800);
  EXPECT_NEAR(interval.high, 1.959964 / 802.0, 1e-7);
  EXPECT_DOUBLE_EQ(interval.low, -interval.high);
  EXPECT_EQ(PairedDifferenceInterval(0, 0, 0).low, -1.0);
}

TEST(ArgMaxMap, TakesTheBestChannelOfEveryPixel) {
  EXPECT_THAT(ArgMaxMap(std::vector<float>{1, 5, 2, 3, 5, 0, 0, 6, 9}, 3), ElementsAre(1, 2, 2));
  EXPECT_THAT(ArgMaxMap(std::vector<float>{4, 4, 4, 4}, 2), ElementsAre(0, 0));
}

TEST(Relabel, MapsPersonsOntoTheTruthsNumber) {
  std::vector<uint8_t> map = {0, 1, 2};
  Relabel(map, OnlyClass(1, 15));
  EXPECT_THAT(map, ElementsAre(0, 15, 0));
}

TEST(IouCounts, IgnoresUnlabelledPixelsAndSumsOverImages) {
  IouCounts counts;
  ASSERT_TRUE(counts.Add(std::vector<uint8_t>{0, 15, 15, 255}, std::vector<uint8_t>{0, 15, 0, 15}));
  ASSERT_TRUE(counts.Add(std::vector<uint8_t>{15, 0}, std::vector<uint8_t>{15, 7}));
  EXPECT_DOUBLE_EQ(*counts.Iou(15), 2.0 / 3.0);  // truth 3, predicted 2, both 2
  EXPECT_DOUBLE_EQ(*counts.Iou(0), 1.0 / 3.0);   // truth 2, predicted 2, both 1
  EXPECT_DOUBLE_EQ(*counts.Iou(7), 0.0);
  EXPECT_EQ(counts.Iou(3), std::nullopt);
  EXPECT_DOUBLE_EQ(counts.MeanIou(), 0.5);
  const uint8_t persons[] = {15};
  EXPECT_DOUBLE_EQ(counts.MeanIou(persons), 2.0 / 3.0);
  EXPECT_DOUBLE_EQ(counts.PixelAccuracy(), 3.0 / 5.0);
}

TEST(IouCounts, RefusesMapsOfDifferentSizes) {
  IouCounts counts;
  EXPECT_FALSE(counts.Add(std::vector<uint8_t>{0, 1}, std::vector<uint8_t>{0}));
  EXPECT_EQ(counts.Iou(0), std::nullopt);
}

IouCounts CountsOf(const std::vector<uint8_t>& truth, const std::vector<uint8_t>& predicted) {
  IouCounts counts;
  EXPECT_TRUE(counts.Add(truth, predicted));
  return counts;
}

TEST(IouCounts, WhatWasAddedCanBeTakenAway) {
  const IouCounts first = CountsOf({0, 15, 15}, {0, 15, 0});
  IouCounts both = first;
  both += CountsOf({15, 0}, {0, 15});
  EXPECT_DOUBLE_EQ(*both.Iou(15), 1.0 / 4);
  both -= first;
  EXPECT_DOUBLE_EQ(*both.Iou(15), 0.0);
  EXPECT_DOUBLE_EQ(*Sum(std::vector{first, first}).Iou(15), 1.0 / 2);
  EXPECT_TRUE(first.InTruth(15));
  EXPECT_FALSE(CountsOf({0}, {15}).InTruth(15));
}

TEST(IouDifferenceInterval, EqualsHandComputedNumbers) {
  // The reference has 2 of 5 and none of 2, the candidate 3 of 5 and 2 of 4.
  const std::vector<uint8_t> truths[] = {{1, 1, 1, 1, 0, 0}, {1, 1, 0, 0, 0, 0}};
  const std::vector<IouCounts> reference = {CountsOf(truths[0], {1, 1, 0, 0, 1, 0}),
                                            CountsOf(truths[1], {0, 0, 0, 0, 0, 0})};
  const std::vector<IouCounts> candidate = {CountsOf(truths[0], {1, 1, 1, 0, 1, 0}),
                                            CountsOf(truths[1], {1, 1, 1, 1, 0, 0})};
  const auto iou = [](const IouCounts& counts) { return counts.Iou(1).value_or(0); };
  // Without the first 0.5, without the second 0.2: half of the squares from their mean is 0.15².
  const double difference = 5.0 / 9 - 2.0 / 7;
  const Interval interval = IouDifferenceInterval(reference, candidate, iou);
  EXPECT_NEAR(interval.low, difference - 1.959964 * 0.15, 1e-6);
  EXPECT_NEAR(interval.high, difference + 1.959964 * 0.15, 1e-6);
  EXPECT_EQ(IouDifferenceInterval(reference, reference, iou).high, 0);
  EXPECT_EQ(IouDifferenceInterval(std::span(reference).first(1), std::span(candidate).first(1), iou).low, -1);
}

TEST(PixelAgreement, IsAShareOfAllPixels) {
  PixelAgreement agreement;
  EXPECT_EQ(agreement.Share(), 0);
  agreement.Add(std::vector<uint8_t>{1, 0, 2}, std::vector<uint8_t>{1, 1, 2});
  agreement.Add(std::vector<uint8_t>{1}, std::vector<uint8_t>{0});
  EXPECT_DOUBLE_EQ(agreement.Share(), 2.0 / 4);
}

TEST(SoftmaxDivergence, IsThatOfTheProbabilities) {
  const std::vector<float> reference = {std::log(0.5f) + 3, std::log(0.25f) + 3, std::log(0.25f) + 3};
  const std::vector<float> candidate = {std::log(0.25f), std::log(0.5f), std::log(0.25f)};
  EXPECT_NEAR(SoftmaxDivergence(reference, candidate), 0.25 * std::log(2.0), 1e-6);
  EXPECT_EQ(SoftmaxDivergence(reference, reference), 0);
  const std::vector<float> far = {1000, 0, -1000};
  EXPECT_NEAR(SoftmaxDivergence(far, std::vector<float>{0, 1000, 0}), 1000, 1e-3);
}

}  // namespace
}  // namespace bitstage
