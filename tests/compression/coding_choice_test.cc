#include "engine/compression/coding_choice.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/codec/kernel_choice.h"

namespace bitstage {
namespace {

CodingMeasures Measured(const codec::CellKernels& kernels, bool pairs, int cell_bits, double stored, double plain,
                        double contexts) {
  CodingMeasures measures;
  measures.stored.bits = stored;
  measures.plain.bits = plain;
  measures.contexts.bits = contexts;
  SetCosts(kernels, pairs, cell_bits, measures);
  return measures;
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
    const CodingMeasures pairs = Measured(*kernels, true, 6, 3, 2.2, 1.8);
    EXPECT_EQ(ChooseCoding(pairs, 100), FrameCoding::kContexts) << kernels->name;
    EXPECT_EQ(ChooseCoding(pairs, 100000), FrameCoding::kPlain) << kernels->name;
    EXPECT_LT(pairs.plain.nanoseconds, pairs.contexts.nanoseconds) << kernels->name;
    // What does not compress is stored, what has no tables too.
    EXPECT_EQ(ChooseCoding(Measured(*kernels, false, 8, 5, 8, 0), 100), FrameCoding::kStored);
    EXPECT_EQ(ChooseCoding(Measured(*kernels, false, 8, 5, 0, 0), 100), FrameCoding::kStored);
  }
}

TEST(ChooseCoding, SpeedsOfTheTierDecideWhereLinksAreFast) {
  // Half a bit saved is 0.05 ns at 10 Gbit/s: what a faster coder has to spare and a slower one has not.
  CodingMeasures measures = {{4, 0.5}, {3.5, 0.52}, {}};
  EXPECT_EQ(ChooseCoding(measures, 10000), FrameCoding::kPlain);
  measures.plain.nanoseconds = 0.6;
  EXPECT_EQ(ChooseCoding(measures, 10000), FrameCoding::kStored);
}

}  // namespace
}  // namespace bitstage
