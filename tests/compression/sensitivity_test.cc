#include "engine/compression/sensitivity.h"

#include <gtest/gtest.h>

#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

TEST(MeanMargin, IsTheWorkedExampleOfThePaper) {
  // z = (3, 1, 0.2): (3 − 1)² / 2 = 2.
  const std::vector<float> z = {3, 1, 0.2f};
  EXPECT_DOUBLE_EQ(MeanMargin(Tensor::Of<float>({1, 3}, z)), 2.0);
}

TEST(MeanMargin, CountsEveryPixelOfAMap) {
  // Two classes, two pixels: margins (4 − 1)²/2 and (5 − 3)²/2.
  const std::vector<float> z = {4, 3, 1, 5};
  EXPECT_DOUBLE_EQ(MeanMargin(Tensor::Of<float>({1, 2, 1, 2}, z)), (4.5 + 2.0) / 2);
}

TEST(MeasureSensitivities, FallWithEveryBitAboutFourfold) {
  GraphBuilder b(5);
  const ValueId x = b.Input({8, 6, 6});
  const ValueId y = b.Add(b.MakeConv({8, 6, 6}, 16, 3, 1, 1), {x});
  const ValueId z = b.Add(b.MakeConv({16, 6, 6}, 8, 3, 1, 1), {y});
  const Graph graph = b.Finish({z});
  const Tensor images = RandomTensor({6, 8, 6, 6}, 9);
  const auto calibration = Calibrate(graph, images, nullptr, {});
  ASSERT_TRUE(calibration.ok());
  const std::vector<LayerPrecision> widths = {{.bits = 4}, {.bits = 6}, {.bits = 8}};
  const std::vector<LayerPrecision> rates = {{.rate = 3}, {.rate = 5}, {.rate = 7}};
  for (const auto& candidates : {widths, rates}) {
    const auto effects =
        MeasureSensitivities(graph, *calibration, images, candidates, /*second_order_rounding=*/false, nullptr, {});
    ASSERT_TRUE(effects.ok()) << effects.status();
    ASSERT_EQ(effects->size(), 2u);
    for (const std::vector<CodingEffect>& layer : *effects) {
      for (size_t i = 0; i + 1 < layer.size(); ++i) {
        // 6 dB a bit: 16 for two bits, and room for the clip.
        EXPECT_GT(layer[i].noise / layer[i + 1].noise, 8);
        EXPECT_LT(layer[i].noise / layer[i + 1].noise, 32);
        EXPECT_NEAR(layer[i + 1].bits - layer[i].bits, 2, 0.4);
      }
    }
  }
}

}  // namespace
}  // namespace bitstage
