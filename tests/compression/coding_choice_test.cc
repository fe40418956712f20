#include "engine/compression/coding_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "engine/codec/kernel_choice.h"
#include "engine/compression/boundary_statistics.h"

namespace bitstage {
namespace {

CodingMeasures Measured(const codec::CellKernels& kernels, const PlainForm& form, double stored, double plain,
                        double contexts) {
  return {
      {stored, StoredCost(kernels)}, {plain, PlainCost(kernels, form)}, {contexts, ContextsCost(kernels, form.pairs)}};
}

TEST(ChooseCoding, NeverTakesContextsForLinksFasterThanAGigabit) {
  std::mt19937 random(1);
  const auto uniform = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  for (int round = 0; round < 20000; ++round) {
    CodingMeasures measures;
    for (CodingMeasure* const measure : {&measures.stored, &measures.plain, &measures.contexts}) {
      *measure = {uniform(0, 8), uniform(0, 5)};
    }
    EXPECT_NE(ChooseCoding(measures, uniform(kMaxLinkForContexts + 0.001, 400000)), FrameCoding::kContexts);
  }
  // Not even where they would pay.
  EXPECT_EQ(ChooseCoding({{8, 1}, {7, 1}, {1, 0.01}}, 1001), FrameCoding::kPlain);
  EXPECT_EQ(ChooseCoding({{8, 1}, {7, 1}, {1, 0.01}}, 1000), FrameCoding::kContexts);
}

TEST(ChooseCoding, TakesTheSmallestForSlowLinksAndTheFastestForFastOnesOnEveryTier) {
  for (const codec::CellKernels* kernels : codec::SupportedKernels()) {
    // ResNet-20 at three bits: pairs 2.2 bits, contexts 1.8.
    const CodingMeasures pairs = Measured(*kernels, {true, false, 6}, 3, 2.2, 1.8);
    EXPECT_EQ(ChooseCoding(pairs, 100), FrameCoding::kContexts) << kernels->name;
    EXPECT_EQ(ChooseCoding(pairs, 100000), FrameCoding::kPlain) << kernels->name;
    EXPECT_LT(pairs.plain.nanoseconds, pairs.contexts.nanoseconds) << kernels->name;
    // What does not compress is stored, what has no tables too.
    EXPECT_EQ(ChooseCoding(Measured(*kernels, {false, false, 8}, 5, 8, 0), 100), FrameCoding::kStored);
    EXPECT_EQ(ChooseCoding(Measured(*kernels, {false, false, 8}, 5, 0, 0), 100), FrameCoding::kStored);
  }
}

TEST(ChooseCoding, SpeedsOfTheTierDecideWhereLinksAreFast) {
  // Half a bit saved is 0.05 ns at 10 Gbit/s: what a faster coder has to spare and a slower one has not.
  CodingMeasures measures = {{4, 0.5}, {3.5, 0.52}, {}};
  EXPECT_EQ(ChooseCoding(measures, 10000), FrameCoding::kPlain);
  measures.plain.nanoseconds = 0.6;
  EXPECT_EQ(ChooseCoding(measures, 10000), FrameCoding::kStored);
}

TEST(PlainCost, OneTableIsNeverSlowerThanGroupsAndFasterThanStored) {
  for (const codec::CellKernels* kernels : codec::SupportedKernels()) {
    for (const bool pairs : {false, true}) {
      for (const int cell_bits : {6, 8}) {
        const double one_table = PlainCost(*kernels, {pairs, true, cell_bits});
        EXPECT_LE(one_table, PlainCost(*kernels, {pairs, false, cell_bits})) << kernels->name;
        EXPECT_LT(one_table, StoredCost(*kernels)) << kernels->name;
      }
    }
  }
}

// Codes of 16 channels that differ in scale, so that groups of channels save bits.
BoundaryTables OfUnlikeChannels(double link_mbps) {
  const Shape image = {16, 16, 16};
  Grid grid;
  grid.bits = {3};
  grid.shift = {0};
  std::mt19937 random(5);
  std::vector<uint8_t> codes(4 * 16 * 16 * 16);
  for (size_t i = 0; i < codes.size(); ++i) {
    const double scale = 0.5 + static_cast<double>(i % 16) / 3;
    codes[i] = static_cast<uint8_t>(std::clamp(std::normal_distribution<double>(0, scale)(random), 0.0, 7.0));
  }
  return MakeBoundaryTables(grid, image, 4, codes, link_mbps);
}

TEST(MakeBoundaryTables, TakesPairsByGroupsOnSlowLinksAndPairsByOneTableOnFastOnes) {
  const BoundaryTables slow = OfUnlikeChannels(1001);  // too fast for contexts alone
  const BoundaryTables slower = OfUnlikeChannels(10);
  const BoundaryTables fast = OfUnlikeChannels(100000);
  EXPECT_EQ(slower.preferred, FrameCoding::kContexts);
  EXPECT_TRUE(slower.contexts.pairs);
  EXPECT_GT(slower.plain.lengths.size(), 1u);
  EXPECT_EQ(slow.preferred, FrameCoding::kPlain);
  EXPECT_TRUE(slow.contexts.empty());
  EXPECT_EQ(fast.preferred, FrameCoding::kPlain);
  EXPECT_TRUE(fast.plain.pairs);
  EXPECT_EQ(fast.plain.lengths.size(), 1u);
  EXPECT_LT(slower.plain_bits, fast.plain_bits);
}

}  // namespace
}  // namespace bitstage
