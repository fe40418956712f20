#include "engine/quant/adaptive.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>
#include <random>

#include "engine/quant/allocation.h"

namespace bitstage {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::Pointwise;

// The worked example.
const std::vector<LayerNoise> kLayers = {{8e4, .5, 9408}, {2e4, 1, 73728}, {1e3, 4, 512000}};

TEST(AdaptiveGolden, BitsOfTheWorkedExample) {
  const std::vector<double> bits = ClosedFormBits(kLayers, 1);
  EXPECT_THAT(bits, Pointwise(DoubleNear(1e-5), {11.63545, 8.65032, 4.09143}));
  EXPECT_NEAR(MeanBits(kLayers, bits), 4.775, 1e-3);
  EXPECT_NEAR(TotalNoise(kLayers, bits), 1, 1e-9);
}

TEST(AdaptiveGolden, NoiseSharesAreTheSharesOfTheWeights) {
  EXPECT_THAT(NoiseShares(kLayers, ClosedFormBits(kLayers, 1)),
              Pointwise(DoubleNear(1e-6), {.015808, .123884, .860308}));
}

TEST(AdaptiveGolden, EqualWidthAndSqnrNeedMoreBits) {
  EXPECT_NEAR(EqualBits(kLayers, 1), 8.730, 1e-3);
  const std::vector<double> sqnr = SqnrBits(kLayers, 1);
  EXPECT_NEAR(MeanBits(kLayers, sqnr), 6.503, 1e-3);
  EXPECT_NEAR(TotalNoise(kLayers, sqnr), 1, 1e-9);
}

TEST(AdaptiveGolden, FourTimesTheNoiseIsABitMoreFourTimesTheSizeOrRobustnessABitLess) {
  const std::vector<double> bits = ClosedFormBits(kLayers, 1);
  std::vector<LayerNoise> layers = kLayers;
  layers[1].p *= 4;
  EXPECT_NEAR(ClosedFormBits(layers, 1)[1], bits[1] + 1, 1e-12);
  layers = kLayers;
  layers[1].t *= 4;
  EXPECT_NEAR(ClosedFormBits(layers, 1)[1], bits[1] - 1, 1e-12);
  layers = kLayers;
  layers[1].s *= 4;
  const double sizes = (9408 + 4 * 73728 + 512000.0) / (9408 + 73728 + 512000.0);  // S grows with s_i
  EXPECT_NEAR(ClosedFormBits(layers, 1)[1], bits[1] - 1 + std::log(sizes) / kNoisePerBit, 1e-12);
}

TEST(AdaptiveGolden, MarginOfTheTwoLargest) {
  EXPECT_NEAR(SquaredMargin(std::vector<float>{3, 1, .2f}), 2, 1e-9);
  EXPECT_NEAR(SquaredMargin(std::vector<float>{-5, 1, -7, 3}), 2, 1e-9);
  EXPECT_EQ(SquaredMargin(std::vector<float>{4, 4}), 0);
}

TEST(Adaptive, NoiseCoefficientUndoesTheBitsItWasMeasuredAt) {
  const double p = NoiseCoefficient(1e-3, 8);
  EXPECT_NEAR(p, 1e-3 * 65536, 1e-6);
  EXPECT_NEAR(TotalNoise(std::vector<LayerNoise>{{p, 1, 1}}, std::vector<double>{8}), 1e-3, 1e-12);
}

TEST(Adaptive, ClosedFormIsNotBeatenByOtherAllocationsOfTheSameNoise) {
  std::mt19937 random(1);
  std::uniform_real_distribution<double> move(-1, 1);
  const double best = MeanBits(kLayers, ClosedFormBits(kLayers, 1));
  for (int i = 0; i < 1000; ++i) {
    std::vector<double> bits = ClosedFormBits(kLayers, 1);
    for (double& b : bits) b += move(random);
    const double raise = std::log(TotalNoise(kLayers, bits)) / kNoisePerBit;
    for (double& b : bits) b += raise;
    EXPECT_GE(MeanBits(kLayers, bits), best - 1e-9);
  }
}

TEST(RoundingVariants, HoldAllDownAllUpAndNearestWithinTheLimits) {
  const auto variants = RoundingVariants(std::vector<double>{11.6, 8.2, 4.45, 0.3}, 2, 8);
  EXPECT_THAT(variants, ElementsAre(ElementsAre(8, 8, 4, 2), ElementsAre(8, 8, 5, 2)));
  const auto unlimited = RoundingVariants(std::vector<double>{5.7, 3.2, 4.5}, 1, 16);
  EXPECT_THAT(unlimited,
              ElementsAre(ElementsAre(5, 3, 4), ElementsAre(6, 3, 4), ElementsAre(6, 3, 5), ElementsAre(6, 4, 5)));
}

TEST(NoiseForAccuracy, FindsTheScaleFromEitherSide) {
  for (const double start : {1e-4, 0.37, 1.0, 500.0}) {
    const auto found = NoiseForAccuracy(0.8, start, 30, [](double scale) -> absl::StatusOr<NoiseEffect> {
      return NoiseEffect{1 / (1 + scale), 3 * scale * scale};
    });
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_NEAR(found->scale, 0.25, 1e-6);
    EXPECT_NEAR(found->squared_noise, 3 * 0.0625, 1e-5);
  }
}

TEST(NoiseForAccuracy, SaysWhenNoNoiseOrNoSilenceReachesTheTarget) {
  const auto deaf = [](double) -> absl::StatusOr<NoiseEffect> { return NoiseEffect{0.9, 0}; };
  EXPECT_EQ(NoiseForAccuracy(0.8, 1, 9, deaf).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(NoiseForAccuracy(0.95, 1, 9, deaf).status().code(), absl::StatusCode::kFailedPrecondition);
  const auto stopped = [](double) -> absl::StatusOr<NoiseEffect> { return absl::CancelledError("stopped"); };
  EXPECT_EQ(NoiseForAccuracy(0.8, 1, 9, stopped).status().code(), absl::StatusCode::kCancelled);
}

// Layers whose distortion falls by about a factor of four a bit, not quite evenly.
std::vector<LayerOptions> RandomLayers(uint32_t seed, size_t count) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0.2, 1.8);
  std::vector<LayerOptions> layers(count);
  for (LayerOptions& layer : layers) {
    const double size = 10 * uniform(random);
    const double noise = 100 * uniform(random);
    for (int bits = 2; bits <= 6; ++bits)
      layer.push_back({size * bits, noise * std::exp2(-2 * bits) * uniform(random)});
  }
  return layers;
}

template <typename Visitor>
void ForEveryAllocation(const std::vector<LayerOptions>& layers, Visitor visit) {
  std::vector<size_t> choice(layers.size());
  for (;;) {
    double cost = 0;
    double distortion = 0;
    for (size_t i = 0; i < layers.size(); ++i) {
      cost += layers[i][choice[i]].cost;
      distortion += layers[i][choice[i]].distortion;
    }
    visit(cost, distortion);
    size_t i = 0;
    while (i < layers.size() && ++choice[i] == layers[i].size()) choice[i++] = 0;
    if (i == layers.size()) return;
  }
}

TEST(Allocation, EveryPointOfTheCurveIsTheBestOfAllAllocationsAtItsCost) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const std::vector<LayerOptions> layers = RandomLayers(seed, 4);
    const auto curve = AllocationCurve(layers);
    ASSERT_TRUE(curve.ok());
    EXPECT_GT(curve->size(), 4u);
    for (const Allocation& point : *curve) {
      ForEveryAllocation(layers, [&](double cost, double distortion) {
        if (cost > point.cost * (1 + 1e-12)) return;
        EXPECT_GE(distortion, point.distortion * (1 - 1e-12));
      });
    }
  }
}

// Mixed menus: codes that take little and distort much beside widths, some of them worth nothing.
std::vector<LayerOptions> WithOddOptions(std::vector<LayerOptions> layers, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (LayerOptions& layer : layers) {
    layer.push_back({0.5 * layer.front().cost, (1 + 3 * uniform(random)) * layer.front().distortion});
    layer.push_back({layer.back().cost * uniform(random), layer.front().distortion * uniform(random)});
  }
  return layers;
}

TEST(Allocation, IsTheBestOfAllWithinEitherBudget) {
  for (uint32_t seed = 100; seed < 160; ++seed) {
    const std::vector<LayerOptions> layers = WithOddOptions(RandomLayers(seed, 5), seed);
    const auto curve = AllocationCurve(layers);
    const double share = 0.1 + 0.8 * (seed - 100) / 60;
    const double cost_budget = (1 - share) * curve->front().cost + share * curve->back().cost;
    const auto by_cost = AllocateUnderCost(layers, cost_budget, /*worthwhile=*/0);
    ASSERT_TRUE(by_cost.ok());
    EXPECT_LE(by_cost->cost, cost_budget);
    const double distortion_budget =
        std::pow(curve->front().distortion, 1 - share) * std::pow(curve->back().distortion, share);
    const auto by_distortion = AllocateUnderDistortion(layers, distortion_budget, /*worthwhile=*/0);
    ASSERT_TRUE(by_distortion.ok());
    EXPECT_LE(by_distortion->distortion, distortion_budget);
    double least_distortion = curve->front().distortion;
    double least_cost = curve->back().cost;
    ForEveryAllocation(layers, [&](double cost, double distortion) {
      if (cost <= cost_budget) least_distortion = std::min(least_distortion, distortion);
      if (distortion <= distortion_budget) least_cost = std::min(least_cost, cost);
    });
    EXPECT_LE(by_cost->distortion, least_distortion * (1 + 1e-9)) << seed;
    EXPECT_LE(by_distortion->cost, least_cost * (1 + 1e-9)) << seed;
    EXPECT_LE(AllocateUnderCost(layers, cost_budget)->distortion * (1 - kWorthwhile), least_distortion) << seed;
    EXPECT_LE(AllocateUnderDistortion(layers, distortion_budget)->cost * (1 - kWorthwhile), least_cost) << seed;
  }
}

// Sixty layers, all alike: nearly everything ties.
TEST(Allocation, OfManyAlikeLayersIsNoWorseThanTheCurveAndEndsSoon) {
  std::vector<LayerOptions> layers;
  for (int i = 0; i < 60; ++i) {
    LayerOptions& layer = layers.emplace_back();
    for (int step = 0; step < 30; ++step) layer.push_back({100.0 + 25 * step + 0.1 * i, std::exp2(-0.5 * step)});
  }
  const auto curve = AllocationCurve(layers);
  const double budget = curve->front().cost * 1.7;
  const auto over =
      std::find_if(curve->begin(), curve->end(), [&](const Allocation& point) { return point.cost > budget; });
  const auto found = AllocateUnderCost(layers, budget);
  ASSERT_TRUE(found.ok());
  EXPECT_LE(found->cost, budget);
  EXPECT_LE(found->distortion, (over - 1)->distortion);
  EXPECT_TRUE(AllocateUnderCost(layers, HUGE_VAL).ok());
}

TEST(Allocation, RefusesBudgetsOutOfReachAndLayersWithoutOptions) {
  const std::vector<LayerOptions> layers = {{{2, 8}, {4, 1}}, {{2, 4}, {4, 2}}};
  EXPECT_EQ(AllocateUnderCost(layers, 3.9).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(AllocateUnderDistortion(layers, 2.9).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(AllocateUnderCost(layers, 4)->choice, (std::vector<size_t>{0, 0}));
  EXPECT_EQ(AllocateUnderDistortion(layers, 3)->choice, (std::vector<size_t>{1, 1}));
  const std::vector<LayerOptions> empty = {{}};
  EXPECT_EQ(AllocateUnderCost(empty, 1).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(LowerHull, LeavesOutWhatIsNeverBest) {
  const LayerOptions options = {{4, 1}, {1, 10}, {2, 9}, {3, 2}, {5, 1}, {1, 12}};
  EXPECT_THAT(LowerHull(options), ElementsAre(1, 3, 0));
}

}  // namespace
}  // namespace bitstage
