#include "engine/compression/precision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

// What a rate takes here is what it is called, and noise falls by the ideal four a bit.
LayerMenu Menu(int64_t weights, double noise_at_two_bits) {
  LayerMenu menu{weights, {}};
  for (double rate = 1; rate <= 8; rate += 0.5) {
    menu.options.push_back(
        {{.rate = rate}, rate * static_cast<double>(weights), noise_at_two_bits * std::pow(0.25, rate - 2)});
  }
  return menu;
}

const CodingOption& OptionOf(const LayerMenu& menu, const LayerPrecision& precision) {
  return *std::ranges::find(menu.options, precision, &CodingOption::precision);
}

double Noise(const std::vector<LayerMenu>& menus, const std::vector<LayerPrecision>& precision) {
  double sum = 0;
  for (size_t i = 0; i < menus.size(); ++i) sum += OptionOf(menus[i], precision[i]).noise;
  return sum;
}

double Bits(const std::vector<LayerMenu>& menus, const std::vector<LayerPrecision>& precision) {
  double sum = 0;
  for (size_t i = 0; i < menus.size(); ++i) {
    sum += OptionOf(menus[i], precision[i]).bits;
  }
  return sum;
}

TEST(Allocate, FourTimesTheNoiseIsOneBitAndFourTimesTheWeightsOneBitLess) {
  // The closed form: b_i = (1/α) ln(p_i S / (t_i s_i C)).
  const std::vector<LayerMenu> menus = {Menu(1000, 1.0), Menu(1000, 16.0), Menu(16000, 16.0)};
  const auto precision = AllocateForNoise(menus, 0.0704).value();
  EXPECT_EQ(precision[1].rate - precision[0].rate, 2);
  EXPECT_EQ(precision[1].rate - precision[2].rate, 2);
  EXPECT_LE(Noise(menus, precision), 0.0704);
}

TEST(Allocate, NoCheaperAssignmentMeetsTheSameNoise) {
  const std::vector<LayerMenu> menus = {Menu(100, 3.0), Menu(100, 0.7), Menu(100, 9.0)};
  for (const double noise : {3.0, 0.3, 0.02}) {
    const auto precision = AllocateForNoise(menus, noise).value();
    EXPECT_LE(Noise(menus, precision), noise);
    const double cost = Bits(menus, precision);
    for (const CodingOption& a : menus[0].options) {
      for (const CodingOption& b : menus[1].options) {
        for (const CodingOption& c : menus[2].options) {
          if (a.bits + b.bits + c.bits < cost * (1 - 1e-9)) {
            EXPECT_GT(a.noise + b.noise + c.noise, noise);
          }
        }
      }
    }
  }
}

TEST(Allocate, SizeIsKeptAndTooSmallASizeIsRefused) {
  const std::vector<LayerMenu> menus = {Menu(10000, 1.0), Menu(50000, 2.0)};
  const auto precision = AllocateForSize(menus, 60000 * 4);
  ASSERT_TRUE(precision.ok()) << precision.status();
  EXPECT_LE(Bits(menus, *precision), 60000 * 4);
  EXPECT_GT(Bits(menus, *precision), 60000 * 3);
  EXPECT_EQ(AllocateForSize(menus, 59999).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(AllocateByDefault, WidensOnlyAsFarAsTheNoiseAsksAndManagesScalesThatOutweighTheWeights) {
  const auto rate = [](const LayerMenu& menu) { return AllocateByDefault({menu}).value()[0].rate; };
  EXPECT_EQ(rate(Menu(1000000, 0.0125)), 1) << "quiet at the lowest rate";
  EXPECT_EQ(rate(Menu(1000000, 0.4)), 3.5) << "quiet at three and a half bits";
  EXPECT_EQ(rate(Menu(1000000, 1.1)), 3.5) << "quiet enough to pass, and more would be over the usual size";
  EXPECT_EQ(rate(Menu(1000000, 1e6)), 5) << "loud whatever is done: up to the largest size";
  LayerMenu scales = Menu(9, 0.5);
  for (CodingOption& option : scales.options) option.bits += 9 * 32;
  EXPECT_TRUE(AllocateByDefault({scales}).ok());
}

TEST(FixedPrecision, InnerWidthsLeaveEightBitsAtTheEndsAndInDepthwiseLayers) {
  GraphBuilder b(1);
  const ValueId first = b.Add(b.MakeConv({3, 8, 8}, 4, 3, 1, 1), {b.Input({3, 8, 8})});
  const ValueId depthwise = b.Add(b.MakeConv({4, 8, 8}, 4, 3, 1, 1, 4), {first});
  const ValueId inner = b.Add(b.MakeConv({4, 8, 8}, 6, 1, 1, 0), {depthwise});
  const Graph graph = b.Finish({b.Add(b.MakeConv({6, 8, 8}, 5, 1, 1, 0), {inner})});
  const auto bits = [&](const char* weights) {
    std::vector<int> widths;
    for (const LayerPrecision& layer : FixedPrecision(graph, *ParseWeights(weights))) widths.push_back(layer.bits);
    return widths;
  };
  EXPECT_THAT(bits("inner:3"), testing::ElementsAre(8, 8, 3, 8));
  EXPECT_THAT(bits("uniform:3"), testing::ElementsAre(3, 3, 3, 3));
  EXPECT_THAT(bits("syq:ternary:layer"), testing::ElementsAre(8, 2, 2, 8));
}

}  // namespace
}  // namespace bitstage
