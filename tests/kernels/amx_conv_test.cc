// What the AMX tier's convolution is meant to be good at, layer by layer of the networks, and what it promises beyond
// equal results. Random layers are conv_test's.
#include <gtest/gtest.h>

#include <set>

#include "engine/kernels/amx/amx.h"
#include "engine/kernels/amx/layout.h"
#include "engine/kernels/kernel_table.h"
#include "engine/kernels/reference/reference.h"
#include "tests/kernels/amx_emulator.h"
#include "tests/kernels/random_case.h"

namespace bitstage::kernels {
namespace {

class AmxConvTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (TestedIsas().back() != Isa::kAmx) GTEST_SKIP() << "this CPU has neither AMX nor what its emulation needs";
  }

  // Kernel k x k, stride s, of a square map.
  static ConvShape Square(int64_t extent, int64_t in, int64_t out, int64_t k, int64_t s, int64_t dilation = 1) {
    const int64_t pad = (k - 1) * dilation / 2;
    const int64_t out_extent = (extent + 2 * pad - (k - 1) * dilation - 1) / s + 1;
    return {extent, extent, in, out_extent, out_extent, out, 1, k, k, s, s, dilation, dilation, pad, pad};
  }

  static ::testing::AssertionResult Equals(const ConvCase& conv) {
    if (!amx::kDirect.supports(conv.shape, conv.max_code, conv.max_weight)) {
      return ::testing::AssertionFailure() << "not supported: " << conv.Describe();
    }
    const std::vector<uint8_t> output = conv.Run(amx::kDirect);
    if (output != conv.Run(reference::kConv)) return ::testing::AssertionFailure() << "differs: " << conv.Describe();
    if (!conv.OutsideIsUntouched(output)) return ::testing::AssertionFailure() << "wrote outside: " << conv.Describe();
    return ::testing::AssertionSuccess();
  }

  // The first rows of such a layer, so that the reference is done in time.
  static ConvCase Rows(Random& random, ConvShape shape, int64_t rows) {
    shape.out_height = std::min(shape.out_height, rows);
    ConvCase conv = ConvCase::Make(random, shape);
    conv.row_begin = 0;
    conv.row_end = shape.out_height;
    return conv;
  }

  static void Narrow(ConvCase& conv, Random& random, int max_weight) {
    conv.max_weight = max_weight;
    for (int8_t& weight : conv.weights) weight = static_cast<int8_t>(random.Int(-max_weight, max_weight));
  }
};

TEST_F(AmxConvTest, LayersOfNetworksEqualTheReference) {
  Random random(1);
  const ConvShape shapes[] = {
      Square(224, 3, 64, 7, 2),      // ResNet's stem: gathered, 3 steps
      Square(56, 64, 48, 3, 1),      // flat, 16 rows a tile
      Square(56, 64, 32, 3, 2),      // planes by phase
      Square(28, 128, 32, 3, 1),     //
      Square(14, 256, 48, 3, 2),     // into 7 x 7: flat, 4 x 1
      Square(7, 512, 16, 3, 1),      // the same, with a shared column
      Square(14, 256, 40, 1, 2),     // one phase only
      Square(56, 24, 144, 1, 1),     // MobileNet's expansion
      Square(14, 576, 96, 1, 1),     // and projection
      Square(32, 16, 16, 3, 1),      // ResNet-20
      Square(32, 16, 32, 3, 2),      //
      Square(16, 32, 32, 3, 1),      //
      Square(8, 64, 64, 3, 1),       //
      Square(33, 64, 16, 3, 1, 12),  // DeepLab
      Square(27, 96, 64, 5, 1),      // SqueezeNet, AlexNet
      Square(112, 3, 32, 3, 2),      // MobileNet's stem
  };
  for (const ConvShape& shape : shapes) {
    for (const int max_weight : {127, 7, 1}) {
      ConvCase conv = Rows(random, shape, shape.out_width > 30 ? 5 : 33);
      Narrow(conv, random, max_weight);
      ASSERT_TRUE(Equals(conv));
    }
  }
}

TEST_F(AmxConvTest, ImagesOfSeveralBandsEqualTheReference) {
  Random random(2);
  const ConvShape shared = {60, 70, 130, 60, 70, 8, 1, 3, 3, 1, 1, 1, 1, 1, 1};
  const ConvShape gathered = {90, 50, 5, 45, 25, 20, 1, 5, 3, 2, 2, 1, 1, 2, 1};
  ASSERT_LT(amx::Layout(shared).band_rows(), 60);
  ASSERT_LT(amx::Layout(gathered).band_rows(), 45);
  for (const ConvShape& shape : {shared, gathered}) {
    ConvCase conv = ConvCase::Make(random, shape);
    for (const int max_weight : {100, 7, 1}) {
      Narrow(conv, random, max_weight);
      ASSERT_TRUE(Equals(conv));
    }
  }
}

TEST_F(AmxConvTest, OneByOneLayersAreTakenWhereTheyLie) {
  Random random(3);
  for (const int64_t extent : {1, 2, 3, 5, 7, 14, 21}) {
    for (const int64_t channels : {64, 128, 192}) {
      ConvCase conv = Rows(random, Square(extent, channels, 40, 1, 1), extent);
      conv.input_pixel_stride = channels;
      const int64_t loads = EmulatedTileUse().crossing_loads;
      ASSERT_TRUE(Equals(conv));
      EXPECT_EQ(EmulatedTileUse().crossing_loads, loads);
      conv.row_begin = extent / 3;
      ASSERT_TRUE(Equals(conv));
    }
  }
}

TEST_F(AmxConvTest, TwoAndFourBitsHoldLayersOfFewValues) {
  Random random(4);
  const ConvShape shape = Square(8, 128, 64, 3, 1);
  ConvCase conv = ConvCase::Make(random, shape);
  const auto packed = [&](std::vector<int> values) {
    for (int8_t& weight : conv.weights) weight = static_cast<int8_t>(random.OneOf(values));
    EXPECT_TRUE(Equals(conv));
    return amx::kDirect.packed_bytes(shape, conv.weights.data());
  };
  constexpr size_t kWeights = 128 * 64 * 9;
  constexpr size_t kHeader = 256;
  EXPECT_EQ(packed({0}), kWeights / 4 + kHeader);
  EXPECT_EQ(packed({-1, 0, 1}), kWeights / 4 + kHeader);
  EXPECT_EQ(packed({-127, -5, 5, 127}), kWeights / 4 + kHeader);  // no 0 among them
  EXPECT_EQ(packed({-2, -1, 0, 1, 2}), kWeights / 2 + kHeader);
  EXPECT_EQ(packed({-127, -90, -44, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 100, 127}), kWeights / 2 + kHeader);
  EXPECT_EQ(packed({-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8}), kWeights + kHeader);
}

// Four values and channels that fill no line: the rest of the line meets weights of 0, a fifth value.
TEST_F(AmxConvTest, WeightsWithoutAZeroMeetNothingBesideTheChannels) {
  Random random(5);
  ConvCase conv = ConvCase::Make(random, Square(9, 72, 33, 3, 1));
  for (int8_t& weight : conv.weights) weight = static_cast<int8_t>(random.OneOf<int>({-3, -1, 1, 3}));
  EXPECT_TRUE(Equals(conv));
}

TEST_F(AmxConvTest, TheLayoutIsTheCheaperOne) {
  EXPECT_TRUE(amx::Layout(Square(224, 3, 64, 7, 2)).gathered());
  EXPECT_EQ(amx::Layout(Square(224, 3, 64, 7, 2)).steps(), 3);  // 147 terms
  EXPECT_TRUE(amx::Layout(Square(32, 16, 16, 3, 1)).gathered());
  EXPECT_EQ(amx::Layout(Square(16, 32, 32, 3, 1)).steps(), 5);  // 288 terms
  EXPECT_FALSE(amx::Layout(Square(56, 64, 64, 3, 1)).gathered());
  EXPECT_FALSE(amx::Layout(Square(14, 160, 64, 3, 1)).gathered());
}

TEST_F(AmxConvTest, TilesDivideTheMap) {
  const auto tiling = [](int64_t extent, int64_t pitch) { return amx::ChooseTiling(extent, extent, pitch); };
  EXPECT_EQ(tiling(112, 112).rows, 16);
  EXPECT_EQ(tiling(112, 112).count, 7 * 112);
  EXPECT_EQ(tiling(56, 57).rows, 16);  // with a column that is no pixel: 200 tiles, not 4 · 56 of 14 rows
  EXPECT_EQ(tiling(56, 57).count, 200);
  EXPECT_EQ(tiling(14, 15).rows, 14);
  EXPECT_EQ(tiling(14, 15).count, 14);
  EXPECT_EQ(tiling(7, 8).rows, 14);
  EXPECT_EQ(tiling(7, 8).count, 4);
  EXPECT_TRUE(tiling(7, 8).flat);
}

TEST_F(AmxConvTest, AProductForEveryTileAndLoadsThatCrossNoLine) {
  if (!AmxIsEmulated()) GTEST_SKIP() << "the CPU's own tiles do not count";
  Random random(6);
  const auto use_of = [&](const ConvShape& shape) {
    ConvCase conv = Rows(random, shape, shape.out_height);
    const TileUse before = EmulatedTileUse();
    EXPECT_EQ(conv.Run(amx::kDirect).empty(), false);
    const TileUse after = EmulatedTileUse();
    EXPECT_FALSE(after.configured);
    return TileUse{after.configured, after.products - before.products, after.loads - before.loads,
                   after.stores - before.stores, after.crossing_loads - before.crossing_loads};
  };
  const TileUse wide = use_of(Square(56, 64, 64, 3, 1));
  EXPECT_EQ(wide.products, 200 * 4 * 9);
  EXPECT_EQ(wide.loads, wide.products);  // two by two
  EXPECT_EQ(wide.stores, 200 * 4);
  EXPECT_EQ(wide.crossing_loads, 0);
  const TileUse flat = use_of(Square(7, 512, 64, 3, 1));
  EXPECT_EQ(flat.products, 4 * 4 * 72);
  EXPECT_EQ(flat.loads, flat.products / 4 * 5);  // four by one
  EXPECT_EQ(flat.crossing_loads, 0);
  const TileUse stem = use_of(Square(112, 3, 64, 7, 2));
  EXPECT_EQ(stem.products, 56 * 56 / 16 * 4 * 3);
  EXPECT_EQ(stem.crossing_loads, 0);
}

TEST_F(AmxConvTest, LayersThatTilesDoNotHelpAreLeftToVectors) {
  const KernelTable& table = TableFor(Isa::kAmx);
  const auto takes_tiles = [&](const ConvShape& shape) { return &table.ChooseConv(shape, 15, 1) == &amx::kDirect; };
  for (const ConvShape& shape : {Square(56, 64, 64, 3, 1), Square(7, 512, 512, 3, 1), Square(224, 3, 64, 7, 2),
                                 Square(32, 16, 16, 3, 1), Square(56, 256, 64, 1, 1), Square(14, 96, 576, 1, 1)}) {
    EXPECT_TRUE(takes_tiles(shape)) << shape.in_channels << " channels, " << shape.in_height << " rows";
  }
  EXPECT_FALSE(takes_tiles(Square(1, 512, 1000, 1, 1)));  // one pixel fills a sixteenth of a tile
  ConvShape grouped = Square(14, 64, 64, 3, 1);
  grouped.groups = 4;
  EXPECT_FALSE(takes_tiles(grouped));
  // Lines of many megabytes.
  EXPECT_FALSE(amx::kDirect.supports({9, 90000, 512, 9, 90000, 8, 1, 9, 9, 1, 1, 1, 1, 4, 4}, 255, 127));
}

}  // namespace
}  // namespace bitstage::kernels
