// Every convolution kernel of every tier against the slow reference, for equality; and the reference against arithmetic
// done by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "engine/kernels/kernel_table.h"
#include "engine/kernels/reference/reference.h"
#include "tests/kernels/random_case.h"
#include "tests/kernels/tier_test.h"

namespace bitstage::kernels {
namespace {

using ::testing::ElementsAre;

INSTANTIATE_TEST_SUITE_P(Tiers, ConvTest, ::testing::ValuesIn(TestedIsas()), TierName);

TEST_P(ConvTest, RandomLayersEqualTheReference) {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, RandomShape(random)))) << "seed " << seed;
  }
}

TEST_P(ConvTest, EveryCountOfChannelsEqualsTheReference) {
  Random random(1);
  for (int64_t channels = 1; channels <= 130; ++channels) {
    const ConvShape dense = {3, 4, channels, 3, 4, 131 - channels, 1, 3, 3, 1, 1, 1, 1, 1, 1};
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, dense)));
    const ConvShape depthwise = {3, 4, channels, 3, 4, channels, channels, 3, 3, 1, 1, 1, 1, 1, 1};
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, depthwise)));
  }
}

// Kernels three columns wide, which a tier may slide over rows: widths around the steps of such loops, padding on every
// side, last blocks of channels of every size.
TEST_P(ConvTest, DepthwiseLayersOfThreeColumnsEqualTheReference) {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    Random random(seed);
    const int64_t channels =
        random.OneIn(2) ? random.OneOf<int64_t>({16, 32, 48, 64, 80, 96, 144}) : random.Int(1, 200);
    const int64_t stride = random.Int(1, 2);
    ConvShape shape = {
        random.Int(1, 9), random.Int(1, 40), channels, 1, 1, channels, channels, 3, 3, stride, stride, 1, 1, 0, 0};
    if (random.OneIn(4)) shape.kernel_height = random.Int(1, 4);
    if (random.OneIn(4)) shape.stride_height = random.Int(1, 2);
    shape.pad_top = random.Int(0, 2);
    shape.pad_left = random.Int(0, 2);
    const int64_t reach_y = shape.in_height + shape.pad_top + random.Int(0, 2) - shape.kernel_height;
    const int64_t reach_x = shape.in_width + shape.pad_left + random.Int(0, 3) - shape.kernel_width;
    if (reach_y < 0 || reach_x < 0) continue;
    shape.out_height = reach_y / shape.stride_height + 1;
    shape.out_width = reach_x / shape.stride_width + 1;
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape))) << "seed " << seed;
  }
}

// 3 x 3, stride 1, at the bounds where a Winograd convolution is exact.
TEST_P(ConvTest, LowBitThreeByThreeLayersEqualTheReference) {
  for (uint32_t seed = 0; seed < 120; ++seed) {
    Random random(seed);
    const ConvShape shape = RandomThreeByThree(random, 1);
    ConvCase::Bounds bounds;
    bounds.max_code = random.OneOf<int>({63, 63, 15, 1});
    bounds.max_weight = random.OneOf<int>({14, 14, 7, 3, 1});
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape, bounds))) << "seed " << seed;
  }
}

// … and of 16 channels, which have a Winograd form of their own: any edge of its tiles and of its groups of tiles.
TEST_P(ConvTest, LowBitThreeByThreeLayersOfSixteenChannelsEqualTheReference) {
  for (uint32_t seed = 0; seed < 120; ++seed) {
    Random random(seed);
    ConvShape shape = {1, 1, 16, 1, 1, 16, 1, 3, 3, 1, 1, 1, 1, 1, 1};
    shape.out_channels = 16 * random.Int(1, 5);
    shape.pad_top = random.Int(0, 2);
    shape.pad_left = random.Int(0, 2);
    shape.in_height = random.Int(1, 12);
    shape.in_width = random.Int(1, random.OneIn(3) ? 150 : 20);
    shape.out_width = std::max<int64_t>(1, shape.in_width + shape.pad_left + random.Int(0, 2) - 2);
    shape.out_height = std::max<int64_t>(1, shape.in_height + shape.pad_top + random.Int(0, 2) - 2);
    ConvCase::Bounds bounds;
    bounds.max_code = random.OneOf<int>({63, 63, 15});
    bounds.max_weight = random.OneOf<int>({14, 14, 1});
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape, bounds))) << "seed " << seed;
  }
}

// Weights of few values at every kernel position take two or four bits.
TEST_P(ConvTest, LayersOfFewWeightValuesEqualTheReference) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    ConvShape shape = RandomShape(random);
    if (random.OneIn(2)) shape.groups = 1;
    ConvCase::Bounds bounds;
    bounds.max_code = random.OneOf<int>({255, 63, 15});
    bounds.max_weight = random.OneOf<int>({127, 14, 7});
    bounds.weight_values = random.OneOf<int>({2, 3, 4, 5, 16});
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape, bounds))) << "seed " << seed;
  }
}

TEST_P(ConvTest, EveryCountOfPixelsEqualsTheReference) {
  Random random(2);
  for (int64_t width = 1; width <= 27; ++width) {
    for (const int64_t channels : {16, 32, 48, 64, 80}) {
      const ConvShape shape = {1, width, 20, 1, width, channels, 1, 1, 1, 1, 1, 1, 1, 0, 0};
      ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape)));
    }
  }
}

// Rows that tiles of seven, six and four pixels divide, and pixels that make more than one chunk.
TEST_P(ConvTest, RowsOfWholeTilesAndChunksOfPixelsEqualTheReference) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Random random(seed);
    const auto kernel = random.OneOf<int64_t>({1, 1, 3, 7});
    const int64_t stride = random.Int(1, 2);
    const int64_t in = random.OneOf<int64_t>({3, 16, 64});
    const int64_t out = random.OneOf<int64_t>({16, 32, 48, 64, 80, 100, 128});
    const int64_t width = random.OneOf<int64_t>({7, 14, 28, 6, 8, 12, 13});
    const int64_t most_rows = std::max<int64_t>(1, 4'000'000 / (width * in * out * kernel * kernel));
    const int64_t height = random.Int(1, std::min<int64_t>(most_rows, kernel == 1 ? 90 : 12));
    const ConvShape shape = {height * stride, width * stride, in,     height, width, out,        1,         kernel,
                             kernel,          stride,         stride, 1,      1,     kernel / 2, kernel / 2};
    ConvCase::Bounds bounds = {.max_code = 255, .max_weight = 127};
    bounds.weight_values = random.OneOf<int>({0, 3, 16});
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape, bounds))) << "seed " << seed;
  }
}

TEST_P(ConvTest, ImagesOfManyBandsEqualTheReference) {
  Random random(3);
  const ConvShape stem = {60, 301, 3, 30, 151, 8, 1, 7, 7, 2, 2, 1, 1, 3, 3};
  const ConvShape dilated = {40, 300, 2, 40, 300, 5, 1, 3, 3, 1, 1, 6, 2, 6, 2};
  const ConvShape depthwise = {40, 301, 5, 40, 301, 5, 5, 3, 3, 1, 1, 1, 1, 1, 1};
  const ConvShape wider_than_a_band = {2, 5000, 3, 2, 5000, 4, 1, 3, 3, 1, 1, 1, 1, 1, 1};
  for (const ConvShape& shape : {stem, dilated, depthwise, wider_than_a_band}) {
    for (int repeat = 0; repeat < 3; ++repeat) {
      ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape)));
    }
  }
}

// Layers whose rows of a kernel are no multiple of four bytes: stems, and others with more bytes left over, of every
// width of rows and kernels.
TEST_P(ConvTest, KernelsOfRowsOfOddBytesEqualTheReference) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    ConvShape shape = {1, 1, 3, 1, 1, 64, 1, 7, 7, 2, 2, 1, 1, 3, 3};
    if (random.OneIn(2)) shape.in_channels = random.Int(1, 11);
    if (random.OneIn(2)) shape.out_channels = random.Int(1, 140);
    if (random.OneIn(2)) shape.kernel_height = random.Int(1, 9);
    if (random.OneIn(2)) shape.kernel_width = random.Int(1, 9);
    if (random.OneIn(3)) shape.stride_width = random.Int(1, 4);
    if (random.OneIn(3)) shape.stride_height = random.Int(1, 3);
    if (random.OneIn(6)) shape.dilation_height = 2;
    shape.pad_top = random.Int(0, 3);
    shape.pad_left = random.Int(0, 3);
    shape.out_width = random.OneIn(3) ? 56 : random.Int(1, 30);
    shape.out_height = random.Int(1, 5);
    shape.in_width = std::max<int64_t>(1, shape.out_width * shape.stride_width - random.Int(0, 2));
    shape.in_height = std::max<int64_t>(1, shape.out_height * shape.stride_height - random.Int(0, 2));
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape))) << "seed " << seed;
  }
}

TEST_P(ConvTest, FullyConnectedLayersEqualTheReference) {
  Random random(4);
  for (const int64_t in : {1, 3, 64, 513, 4608}) {
    for (const int64_t out : {1, 10, 17, 100, 260}) {
      const ConvShape shape = {1, 1, in, 1, 1, out, 1, 1, 1, 1, 1, 1, 1, 0, 0};
      ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape)));
    }
  }
}

// Weights of 2, 4 and 8 bits, all counts of registers of outputs, codes at their limits: what keeps fields of bits
// packed may not overflow.
TEST_P(ConvTest, PackedProductsEqualTheReference) {
  Random random(6);
  for (const int max_weight : {1, 7, 127}) {
    for (const int64_t in : {4, 16, 77, 2048, 32768}) {
      for (const int64_t out : {16, 32, 48, 64, 65, 112, 129}) {
        ConvCase conv = ConvCase::Make(random, {1, 2, in, 1, 2, out, 1, 1, 1, 1, 1, 1, 1, 0, 0});
        conv.max_code = 255;
        conv.max_weight = max_weight;
        const bool extreme = random.OneIn(2);
        for (uint8_t& code : conv.input) code = static_cast<uint8_t>(extreme ? 255 : random.Int(0, 255));
        for (int8_t& w : conv.weights)
          w = static_cast<int8_t>(random.Int(extreme ? max_weight : -max_weight, max_weight));
        for (int32_t& init : conv.acc_init) init = static_cast<int32_t>(random.Int(-1000, 1000));
        ASSERT_TRUE(AllEqualTheReference(conv));
      }
    }
  }
}

TEST_P(ConvTest, ThePiecesOfALayerMakeUpTheWhole) {
  Random random(5);
  const ConvShape shape = {13, 9, 37, 13, 9, 70, 1, 3, 3, 1, 1, 1, 1, 1, 1};
  ConvCase conv = ConvCase::Make(random, shape);
  conv.to_float = false;
  conv.row_begin = 0;
  conv.row_end = 13;
  const std::vector<uint8_t> whole = conv.Run(reference::kConv);
  const auto row_bytes = static_cast<size_t>(shape.out_width * conv.output_pixel_stride);
  for (const ConvKernel* kernel : KernelsFor(conv)) {
    std::vector<uint8_t> pieces;
    for (const int64_t row : {0, 1, 4, 12}) {
      conv.row_begin = row;
      conv.row_end = row == 0 ? 1 : row == 1 ? 4 : row == 4 ? 12 : 13;
      const std::vector<uint8_t> piece = conv.Run(*kernel);
      pieces.insert(pieces.end(), piece.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(row) * row_bytes),
                    piece.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(conv.row_end) * row_bytes));
    }
    EXPECT_TRUE(pieces == whole) << kernel->name;
  }
}

// acc = u − 10 from one input channel, weight 1, input zero point 10; a residual of codes 0…5.
TEST_P(ConvTest, OutputTransformByHand) {
  ConvCase conv;
  conv.shape = {1, 6, 1, 1, 6, 2, 1, 1, 1, 1, 1, 1, 1, 0, 0};
  conv.max_weight = 1;
  conv.zero_point = 10;
  conv.input = {10, 11, 13, 15, 17, 255};
  conv.input.resize(6 + 64);
  conv.input_pixel_stride = 1;
  conv.weights = {1, -1};
  conv.acc_init = {-10, 10};
  conv.output_pixel_stride = 2;
  conv.row_end = 1;
  // Channel 0: acc/2 to codes 0…15. Channel 1: −acc·2 + 20, at least 2 and at most 17.25, symbols shifted by 2.
  conv.transform.mult = {0.5f, 2.0f};
  conv.transform.add = {0.0f, 20.0f};
  conv.transform.low = {0.0f, 2.0f};
  conv.transform.high = {15.0f, 17.25f};
  conv.transform.shift = {0, 2};
  // Accumulators 0 1 3 5 7 245. Channel 0: 0, 0.5, 1.5, 2.5, 3.5, 122.5, halves to even. Channel 1: 20, 18, 14, 10, 6,
  // −470, within the clamp 17.25, 17.25, 14, 10, 6, 2.
  for (const ConvKernel* kernel : KernelsFor(conv)) {
    EXPECT_THAT(conv.Run(*kernel), ElementsAre(0, 68, 0, 68, 2, 56, 2, 40, 4, 24, 15, 8)) << kernel->name;
  }

  // With a residual, channel 0: acc/2 + 3·u_r: 0, 3.5, 7.5, 11.5, 15.5, 137.5. Channel 1: −2·acc + 20 − u_r: 20, 17,
  // 12, 7, 2, −475.
  conv.residual = {0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5};
  conv.residual.resize(12 + 64);
  conv.residual_pixel_stride = 2;
  conv.transform.residual_mult = {3.0f, -1.0f};
  for (const ConvKernel* kernel : KernelsFor(conv)) {
    EXPECT_THAT(conv.Run(*kernel), ElementsAre(0, 68, 4, 68, 8, 48, 12, 28, 15, 8, 15, 8)) << kernel->name;
  }
}

// An accumulator beyond 2^24 is rounded to float before the fma, half to even; the fma itself rounds once.
TEST_P(ConvTest, FloatOutputRoundsWhereTheDocumentSays) {
  ConvCase conv;
  conv.shape = {1, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1, 0, 0};
  conv.input = {1, 1};
  conv.input.resize(2 + 64);
  conv.input_pixel_stride = 2;
  conv.weights = {1, 0, 1, 1};
  conv.acc_init = {16777216, 3};  // 2^24 + 1 and 5
  conv.to_float = true;
  conv.output_pixel_stride = 2;
  conv.row_end = 1;
  // 5 · (1 + 2^-23) − 5 is 5 · 2^-23 in one rounding; with a rounded product it would be 2^-21.
  conv.transform.mult = {1.0f, 0x1.000002p0f};
  conv.transform.add = {1.0f, -5.0f};
  conv.transform.low = {-1e9f, -1e9f};
  conv.transform.high = {1e9f, 1e9f};
  for (const ConvKernel* kernel : KernelsFor(conv)) {
    const std::vector<uint8_t> bytes = conv.Run(*kernel);
    float output[2];
    ASSERT_EQ(bytes.size(), sizeof(output));
    std::memcpy(output, bytes.data(), sizeof(output));
    EXPECT_EQ(output[0], 16777216.0f) << kernel->name;
    EXPECT_EQ(output[1], 5 * 0x1p-23f) << kernel->name;
  }
}

// A clamp at 0 keeps the sign of a zero, so that float outputs agree in every bit.
TEST_P(ConvTest, NegativeZeroSurvivesTheClamp) {
  ConvCase conv;
  conv.shape = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0};
  conv.input.resize(1 + 64);
  conv.input_pixel_stride = 1;
  conv.weights = {1};
  conv.acc_init = {0};
  conv.to_float = true;
  conv.output_pixel_stride = 1;
  conv.row_end = 1;
  conv.transform.mult = {-1.0f};
  conv.transform.add = {-0.0f};
  conv.transform.low = {0.0f};
  conv.transform.high = {6.0f};
  for (const ConvKernel* kernel : KernelsFor(conv)) {
    EXPECT_THAT(conv.Run(*kernel), ElementsAre(0, 0, 0, 0x80)) << kernel->name;
  }
}

}  // namespace
}  // namespace bitstage::kernels
