// Kernels that keep sums in few bits, at the edges of what these hold: every code the largest and every weight the
// largest of one sign, in layers long enough that a sum kept one step too long would wrap.
#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/random_case.h"
#include "tests/kernels/tier_test.h"

namespace bitstage::kernels {
namespace {

struct Bounds {
  int max_code;
  int max_weight;
};

class BoundsTest : public ConvTest {
 protected:
  // Codes of `code` wherever `zero_every` does not say 0; weights of ±max_weight: outputs of one sign, of the other,
  // and of both in turns.
  static ConvCase Extreme(Random& random, const ConvShape& shape, const Bounds& bounds, int zero_every) {
    ConvCase conv = ConvCase::Make(random, shape);
    conv.max_code = bounds.max_code;
    conv.max_weight = bounds.max_weight;
    conv.zero_point = static_cast<uint8_t>(random.OneIn(2) ? 0 : bounds.max_code);
    // The accumulators themselves, as floats.
    const auto outputs = static_cast<size_t>(shape.out_channels);
    const float infinity = std::numeric_limits<float>::infinity();
    conv.to_float = true;
    conv.residual.clear();
    conv.transform = {.mult = std::vector<float>(outputs, 1.0f),
                      .add = std::vector<float>(outputs, 0.0f),
                      .residual_mult = {},
                      .low = std::vector<float>(outputs, -infinity),
                      .high = std::vector<float>(outputs, infinity),
                      .shift = {},
                      .low_codes = {},
                      .high_codes = {},
                      .doublings = {}};
    conv.row_begin = 0;
    conv.row_end = shape.out_height;
    for (size_t i = 0; i < conv.input.size(); ++i) {
      const bool zero = zero_every != 0 && i % static_cast<size_t>(zero_every) == 0;
      conv.input[i] = static_cast<uint8_t>(zero ? 0 : bounds.max_code);
    }
    const size_t per_output = conv.weights.size() / static_cast<size_t>(shape.out_channels);
    for (size_t o = 0; o < static_cast<size_t>(shape.out_channels); ++o) {
      int sum = 0;
      for (size_t i = 0; i < per_output; ++i) {
        const bool negative = o % 3 == 1 || (o % 3 == 2 && i % 2 == 0);
        const int weight = negative ? -bounds.max_weight : bounds.max_weight;
        conv.weights[o * per_output + i] = static_cast<int8_t>(weight);
        sum += weight;
      }
      conv.acc_init[o] = -sum * conv.zero_point;
    }
    return conv;
  }
};

INSTANTIATE_TEST_SUITE_P(Tiers, BoundsTest, ::testing::ValuesIn(TestedIsas()), TierName);

// Around each limit: two products in 16 bits (2 · 255 · 64, 2 · 129 · 127), as many as a layer has (15 · 1), few (63 ·
// 7).
constexpr Bounds kBounds[] = {{255, 127}, {255, 65}, {255, 64}, {130, 127}, {129, 127}, {128, 127}, {255, 1},
                              {127, 15},  {63, 7},   {63, 1},   {31, 15},   {31, 14},   {15, 7},    {15, 5},
                              {15, 2},    {15, 1},   {7, 7},    {3, 1},     {1, 1}};

TEST_P(BoundsTest, LongSumsDoNotWrap) {
  Random random(1);
  for (const Bounds& bounds : kBounds) {
    for (const int zero_every : {0, 2, 3}) {
      const ConvShape wide = {3, 5, 512, 3, 5, 18, 1, 3, 3, 1, 1, 1, 1, 1, 1};
      ASSERT_TRUE(AllEqualTheReference(Extreme(random, wide, bounds, zero_every)));
      const ConvShape odd = {4, 7, 131, 4, 7, 9, 1, 3, 3, 1, 1, 1, 1, 1, 1};
      ASSERT_TRUE(AllEqualTheReference(Extreme(random, odd, bounds, zero_every)));
      const ConvShape point = {1, 13, 4500, 1, 13, 17, 1, 1, 1, 1, 1, 1, 1, 0, 0};
      ASSERT_TRUE(AllEqualTheReference(Extreme(random, point, bounds, zero_every)));
    }
  }
}

TEST_P(BoundsTest, ManyKernelPositionsDoNotWrap) {
  Random random(2);
  for (const Bounds& bounds : kBounds) {
    for (const int64_t channels : {1, 2, 3, 16, 33}) {
      const ConvShape depthwise = {12, 13, channels, 12, 13, channels, channels, 11, 11, 1, 1, 1, 1, 5, 5};
      ASSERT_TRUE(AllEqualTheReference(Extreme(random, depthwise, bounds, 0)));
      const ConvShape dense = {12, 13, channels, 12, 13, 8, 1, 11, 11, 1, 1, 1, 1, 5, 5};
      ASSERT_TRUE(AllEqualTheReference(Extreme(random, dense, bounds, 0)));
    }
  }
}

// Results far beyond any code, to both sides, which shifts would carry further still.
TEST_P(BoundsTest, TransformsFarOutOfRangeEndAtTheLimits) {
  for (uint32_t seed = 0; seed < 120; ++seed) {
    Random random(seed);
    const bool depthwise = random.OneIn(3);
    const int64_t channels = random.Int(1, 70);
    const ConvShape shape = {
        5, 6, channels, 5, 6, depthwise ? channels : random.Int(1, 70), depthwise ? channels : 1, 3, 3, 1,
        1, 1, 1,        1, 1};
    ConvCase conv = ConvCase::Make(random, shape);
    const float factor = random.OneOf<float>({1e3f, 1e5f, 1e7f, 1e9f});
    for (float& mult : conv.transform.mult) mult *= factor;
    for (const bool prepared : {false, true}) {
      conv.prepared = prepared;
      ASSERT_TRUE(AllEqualTheReference(conv));
    }
  }
}

}  // namespace
}  // namespace bitstage::kernels
