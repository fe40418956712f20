// Winograd convolutions where they are more than one of many kernels: strides, edges of small maps, panels and images.
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/base/aligned_buffer.h"
#include "engine/kernels/kernel_table.h"
#include "engine/kernels/reference/reference.h"
#include "tests/kernels/random_case.h"
#include "tests/kernels/tier_test.h"

namespace bitstage::kernels {
namespace {

class WinogradTest : public ConvTest {};
INSTANTIATE_TEST_SUITE_P(Tiers, WinogradTest, ::testing::ValuesIn(TestedIsas()), TierName);

// 3 x 3 layers of stride 2, whose Winograd form has bounds of its own.
TEST_P(WinogradTest, LowBitThreeByThreeLayersOfStrideTwoEqualTheReference) {
  for (uint32_t seed = 0; seed < 120; ++seed) {
    Random random(seed);
    const ConvShape shape = RandomThreeByThree(random, 2);
    ConvCase::Bounds bounds;
    bounds.max_code = random.OneOf<int>({63, 63, 15, 1});
    bounds.max_weight = random.OneOf<int>({31, 31, 14, 1});
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape, bounds))) << "seed " << seed;
  }
}

// Maps so small, and channels so many, that tiles at the edges leave out what they do not need.
TEST_P(WinogradTest, LowBitThreeByThreeLayersOfSmallMapsEqualTheReference) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    Random random(seed);
    const int64_t stride = random.Int(1, 2);
    ConvShape shape = {1, 1, 1, 1, 1, 1, 1, 3, 3, stride, stride, 1, 1, 1, 1};
    shape.in_channels = 64 * random.Int(4, 5);
    shape.out_channels = random.Int(1, 100);
    shape.out_height = random.Int(1, 5);
    shape.out_width = random.Int(1, 5);
    shape.in_height = (shape.out_height - 1) * stride + 1;
    shape.in_width = (shape.out_width - 1) * stride + 1;
    const ConvCase::Bounds bounds = {.max_code = 63, .max_weight = random.OneOf<int>({14, 1})};
    ASSERT_TRUE(AllEqualTheReference(ConvCase::Make(random, shape, bounds))) << "seed " << seed;
  }
}

// Several images in one call, by panels of output channels: as each image alone.
TEST_P(WinogradTest, ThePanelsOfSeveralImagesMakeUpTheWhole) {
  constexpr int64_t kImages = 11;
  Random random(8);
  for (const ConvShape& shape : {ConvShape{7, 7, 256, 7, 7, 200, 1, 3, 3, 1, 1, 1, 1, 1, 1},
                                 ConvShape{14, 14, 256, 7, 7, 130, 1, 3, 3, 2, 2, 1, 1, 1, 1},
                                 ConvShape{8, 9, 20, 8, 9, 150, 1, 3, 3, 1, 1, 1, 1, 1, 1}}) {
    ConvCase conv = ConvCase::Make(random, shape, {.max_code = 63, .max_weight = 3});
    conv.to_float = false;
    conv.row_begin = 0;
    conv.row_end = shape.out_height;
    std::vector<uint8_t> inputs, residuals, expected;
    for (int64_t image = 0; image < kImages; ++image) {
      for (uint8_t& code : conv.input) code = static_cast<uint8_t>(random.Int(0, 63));
      for (uint8_t& code : conv.residual) code = static_cast<uint8_t>(random.Int(0, 255));
      const std::vector<uint8_t> output = conv.Run(reference::kConv);
      inputs.insert(inputs.end(), conv.input.begin(), conv.input.end());
      residuals.insert(residuals.end(), conv.residual.begin(), conv.residual.end());
      expected.insert(expected.end(), output.begin(), output.end());
    }
    for (const ConvKernel* kernel : KernelsFor(conv)) {
      if (kernel->panels == nullptr) continue;
      const int64_t panels = kernel->panels(shape);
      ASSERT_GT(panels, 1) << kernel->name;
      AlignedBuffer packed(kernel->packed_bytes(shape, conv.weights.data()));
      const ConvCase::Constants constants = conv.Prepare(*kernel, packed.data());
      AlignedBuffer scratch(kernel->batch_scratch_bytes(shape));
      std::vector<uint8_t> output(expected.size(), ConvCase::kUntouched);
      ConvCall call = {};
      call.input = inputs.data();
      call.input_pixel_stride = conv.input_pixel_stride;
      call.zero_point = conv.zero_point;
      call.max_code = conv.max_code;
      call.max_weight = constants.max_weight;
      call.packed_weights = packed.data();
      call.acc_init = constants.acc_init.data();
      call.transform = constants.view;
      call.residual = residuals.empty() ? nullptr : residuals.data();
      call.residual_pixel_stride = conv.residual_pixel_stride;
      call.output = output.data();
      call.output_pixel_stride = conv.output_pixel_stride;
      call.row_end = shape.out_height;
      call.scratch = scratch.data();
      call.images = kImages;
      call.input_image_bytes = static_cast<int64_t>(conv.input.size());
      call.residual_image_bytes = static_cast<int64_t>(conv.residual.size());
      call.output_image_bytes = static_cast<int64_t>(expected.size()) / kImages;
      for (const int64_t begin : {int64_t{0}, int64_t{1}}) {
        call.panel_begin = begin;
        call.panel_end = begin == 0 ? 1 : panels;
        kernel->run(shape, call);
      }
      EXPECT_TRUE(output == expected) << kernel->name;
    }
  }
}

}  // namespace
}  // namespace bitstage::kernels
