#include "engine/compression/precision.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bitstage {
namespace {

LayerMenu Menu(int64_t weights, double noise_at_two_bits) {
  LayerMenu menu{weights, 1, {}};
  for (int bits = kMinBits; bits <= kMaxBits; ++bits) {
    menu.noise.push_back(noise_at_two_bits * std::pow(0.25, bits - kMinBits));
  }
  return menu;
}

double Noise(const std::vector<LayerMenu>& menus, const std::vector<LayerPrecision>& precision) {
  double sum = 0;
  for (size_t i = 0; i < menus.size(); ++i) sum += menus[i].noise[static_cast<size_t>(precision[i].bits - kMinBits)];
  return sum;
}

double Weights(const std::vector<LayerMenu>& menus, const std::vector<LayerPrecision>& precision) {
  double sum = 0;
  for (size_t i = 0; i < menus.size(); ++i) {
    sum += static_cast<double>(menus[i].weights) * precision[i].bits + 32.0 * static_cast<double>(menus[i].outputs);
  }
  return sum;
}

TEST(Allocate, FourTimesTheNoiseIsOneBitAndFourTimesTheWeightsOneBitLess) {
  // The closed form: b_i = (1/α) ln(p_i S / (t_i s_i C)).
  const std::vector<LayerMenu> menus = {Menu(1000, 1.0), Menu(1000, 16.0), Menu(16000, 16.0)};
  const auto precision = AllocateForNoise(menus, 0.0704).value();
  EXPECT_EQ(precision[1].bits - precision[0].bits, 2);
  EXPECT_EQ(precision[1].bits - precision[2].bits, 2);
  EXPECT_LE(Noise(menus, precision), 0.0704);
}

TEST(Allocate, NoCheaperAssignmentMeetsTheSameNoise) {
  const std::vector<LayerMenu> menus = {Menu(100, 3.0), Menu(100, 0.7), Menu(100, 9.0)};
  for (const double noise : {3.0, 0.3, 0.02}) {
    const auto precision = AllocateForNoise(menus, noise).value();
    EXPECT_LE(Noise(menus, precision), noise);
    const double cost = Weights(menus, precision);
    for (int a = kMinBits; a <= kMaxBits; ++a) {
      for (int b = kMinBits; b <= kMaxBits; ++b) {
        for (int c = kMinBits; c <= kMaxBits; ++c) {
          std::vector<LayerPrecision> other(3);
          other[0].bits = a;
          other[1].bits = b;
          other[2].bits = c;
          if (Weights(menus, other) < cost) {
            EXPECT_GT(Noise(menus, other), noise) << a << b << c;
          }
        }
      }
    }
  }
}

TEST(Allocate, SizeIsKeptAndTooSmallASizeIsRefused) {
  const std::vector<LayerMenu> menus = {Menu(1000, 1.0), Menu(5000, 2.0)};
  const auto precision = AllocateForSize(menus, 6000 * 4 + 64);
  ASSERT_TRUE(precision.ok()) << precision.status();
  EXPECT_LE(Weights(menus, *precision), 6000 * 4 + 64);
  EXPECT_GT(Weights(menus, *precision), 6000 * 3);
  EXPECT_EQ(AllocateForSize(menus, 6000).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(AllocateByDefault, WidensOnlyAsFarAsTheNoiseAsksAndManagesScalesThatOutweighTheWeights) {
  const auto bits = [](const LayerMenu& menu) { return AllocateByDefault({menu}).value()[0].bits; };
  EXPECT_EQ(bits(Menu(100000, 0.05)), 2) << "quiet at the narrowest width";
  EXPECT_EQ(bits(Menu(100000, 0.7)), 4) << "quiet at four bits";
  EXPECT_EQ(bits(Menu(100000, 2.0)), 4) << "quiet enough to pass, and a fifth bit would be over 4.45";
  EXPECT_EQ(bits(Menu(100000, 1e6)), 5) << "loud whatever is done: up to 5.8 bits";
  LayerMenu scales = Menu(9, 0.5);
  scales.outputs = 9;
  EXPECT_TRUE(AllocateByDefault({scales}).ok());
}

}  // namespace
}  // namespace bitstage
