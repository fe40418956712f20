#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/kernels/kernel_table.h"
#include "engine/kernels/reference/reference.h"
#include "tests/kernels/random_case.h"
#include "tests/kernels/tier_test.h"

namespace bitstage::kernels {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;

class PoolTest : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Tiers, PoolTest, ::testing::ValuesIn(TestedIsas()), TierName);

// A pooling layer with all it reads.
struct PoolCase {
  PoolCall call = {};
  std::vector<uint8_t> input;
  TransformArrays transform;

  static PoolCase Make(Random& random) {
    PoolCase result;
    PoolCall& call = result.call;
    call.in_height = random.Int(1, 12);
    call.in_width = random.Int(1, 12);
    call.channels = random.Int(1, 200);
    call.kernel_height = random.Int(1, 7);
    call.kernel_width = random.Int(1, 7);
    call.stride_height = random.Int(1, 3);
    call.stride_width = random.Int(1, 3);
    call.dilation_height = random.OneIn(3) ? random.Int(1, 3) : 1;
    call.dilation_width = random.OneIn(3) ? random.Int(1, 3) : 1;
    call.pad_top = random.Int(0, call.kernel_height);
    call.pad_left = random.Int(0, call.kernel_width);
    call.pad_bottom = random.Int(0, call.kernel_height);
    call.pad_right = random.Int(0, call.kernel_width);
    const auto extent = [&](int64_t padded, int64_t kernel, int64_t stride, int64_t dilation) {
      return std::max<int64_t>(0, padded - (kernel - 1) * dilation - 1) / stride + 1 + random.Int(0, 1);
    };
    call.out_height = extent(call.in_height + call.pad_top + call.pad_bottom, call.kernel_height, call.stride_height,
                             call.dilation_height);
    call.out_width = extent(call.in_width + call.pad_left + call.pad_right, call.kernel_width, call.stride_width,
                            call.dilation_width);
    call.count_include_pad = random.OneIn(2);
    call.zero_point = static_cast<uint8_t>(random.OneIn(2) ? 0 : random.Int(0, 255));
    call.input_pixel_stride = call.channels + (random.OneIn(2) ? 0 : random.Int(1, 40));
    call.output_pixel_stride = call.channels + (random.OneIn(2) ? 0 : random.Int(1, 40));
    call.row_begin = random.OneIn(2) ? 0 : random.Int(0, call.out_height - 1);
    call.row_end = random.OneIn(2) ? call.out_height : random.Int(call.row_begin, call.out_height);
    result.input.resize(static_cast<size_t>(call.in_height * call.in_width * call.input_pixel_stride + 64));
    for (uint8_t& code : result.input) code = static_cast<uint8_t>(random.Int(0, 255));
    result.transform = TransformArrays::Make(random, call.channels, 200.0f, false, false);
    return result;
  }

  std::vector<uint8_t> Run(void (*pool)(const PoolCall&)) {
    std::vector<uint8_t> output(static_cast<size_t>(call.out_height * call.out_width * call.output_pixel_stride), 0xa5);
    call.input = input.data();
    call.transform = transform.View(false);
    call.output = output.data();
    pool(call);
    return output;
  }

  bool OutsideIsUntouched(const std::vector<uint8_t>& output) const {
    for (size_t i = 0; i < output.size(); ++i) {
      const int64_t row = static_cast<int64_t>(i) / call.output_pixel_stride / call.out_width;
      const bool owned = row >= call.row_begin && row < call.row_end &&
                         static_cast<int64_t>(i) % call.output_pixel_stride < call.channels;
      if (!owned && output[i] != 0xa5) return false;
    }
    return true;
  }
};

TEST_P(PoolTest, RandomPoolsEqualTheReferenceAndTouchNothingElse) {
  const KernelTable& table = TableFor(GetParam());
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    PoolCase pool = PoolCase::Make(random);
    const std::vector<uint8_t> max = pool.Run(table.max_pool);
    ASSERT_TRUE(max == pool.Run(reference::MaxPool)) << "max, seed " << seed;
    ASSERT_TRUE(pool.OutsideIsUntouched(max)) << "max, seed " << seed;
    const std::vector<uint8_t> average = pool.Run(table.average_pool);
    ASSERT_TRUE(average == pool.Run(reference::AveragePool)) << "average, seed " << seed;
    ASSERT_TRUE(pool.OutsideIsUntouched(average)) << "average, seed " << seed;
  }
}

// mult is divided by the count, not multiplied by its reciprocal: channels whose average lies within an ulp of the
// middle between two codes show the difference.
TEST_P(PoolTest, AveragesOnTheEdgeBetweenTwoCodesEqualTheReference) {
  constexpr int64_t kChannels = 1000;
  Random random(7);
  PoolCase pool;
  PoolCall& call = pool.call;
  call.in_height = call.in_width = call.kernel_height = call.kernel_width = 7;
  call.out_height = call.out_width = call.row_end = 1;
  call.stride_height = call.stride_width = call.dilation_height = call.dilation_width = 1;
  call.channels = call.input_pixel_stride = call.output_pixel_stride = kChannels;
  pool.input.resize(49 * kChannels + 64);
  for (uint8_t& code : pool.input) code = static_cast<uint8_t>(random.Int(0, 255));
  for (int64_t c = 0; c < kChannels; ++c) {
    int sum = 0;
    for (int64_t pixel = 0; pixel < 49; ++pixel) sum += pool.input[static_cast<size_t>(pixel * kChannels + c)];
    const float mult = random.Float(0.5f, 2.0f);
    pool.transform.mult.push_back(mult);
    pool.transform.add.push_back(static_cast<float>(100.5 - sum * static_cast<double>(mult) / 49));
    pool.transform.low.push_back(0.0f);
    pool.transform.high.push_back(255.0f);
  }
  const std::vector<uint8_t> expected = pool.Run(reference::AveragePool);
  EXPECT_THAT(expected, Contains(100));
  EXPECT_THAT(expected, Contains(101));
  EXPECT_TRUE(pool.Run(TableFor(GetParam()).average_pool) == expected);
}

// 2 x 2 windows of stride 2 over 3 x 3 codes with one pixel of padding on top and left and none elsewhere:
//     10 20 30
//     40 50 60      windows: {10}, {20, 30}, {40, 70}, {50, 60, 80, 90}
//     70 80 90
PoolCase HandCase() {
  PoolCase pool;
  pool.input = {10, 20, 30, 40, 50, 60, 70, 80, 90};
  pool.input.resize(9 + 64);
  PoolCall& call = pool.call;
  call.in_height = call.in_width = 3;
  call.channels = call.input_pixel_stride = call.output_pixel_stride = 1;
  call.out_height = call.out_width = call.row_end = 2;
  call.kernel_height = call.kernel_width = call.stride_height = call.stride_width = 2;
  call.dilation_height = call.dilation_width = 1;
  call.pad_top = call.pad_left = 1;
  pool.transform.mult = {1.0f};
  pool.transform.add = {0.0f};
  pool.transform.low = {0.0f};
  pool.transform.high = {255.0f};
  return pool;
}

TEST_P(PoolTest, MaximaByHand) {
  EXPECT_THAT(HandCase().Run(TableFor(GetParam()).max_pool), ElementsAre(10, 30, 70, 90));
}

TEST_P(PoolTest, AveragesByHand) {
  PoolCase pool = HandCase();
  EXPECT_THAT(pool.Run(TableFor(GetParam()).average_pool), ElementsAre(10, 25, 55, 70));
  // Over four positions each, padding counting as a real 0: 2.5 to even, 12.5 to even, 27.5 to even.
  pool.call.count_include_pad = true;
  EXPECT_THAT(pool.Run(TableFor(GetParam()).average_pool), ElementsAre(2, 12, 28, 70));
  // With zero point 10 the reals are codes − 10, and padding is a real 0: 0/4, 30/4, 90/4, 240/4, + 1.
  pool.call.zero_point = 10;
  pool.transform.add = {1.0f};
  EXPECT_THAT(pool.Run(TableFor(GetParam()).average_pool), ElementsAre(1, 8, 24, 61));
}

TEST_P(PoolTest, MeansAreTheReferencesBits) {
  Random random(13);
  for (int round = 0; round < 60; ++round) {
    const int64_t channels = random.Int(1, 300);
    const int64_t stride = channels + random.Int(0, 20);
    const int64_t pixels = random.Int(1, 200);
    std::vector<float> input(static_cast<size_t>(stride * (pixels - 1) + channels));  // not a float more
    for (float& x : input) x = static_cast<float>(random.Int(-1000000, 1000000)) * 1.7e-3f;
    std::vector<float> expected(static_cast<size_t>(channels) + 16, -7.0f);
    std::vector<float> mean = expected;
    reference::Mean({input.data(), stride, pixels, channels, expected.data()});
    TableFor(GetParam()).mean({input.data(), stride, pixels, channels, mean.data()});
    ASSERT_EQ(mean, expected) << channels << " channels, " << pixels << " pixels";
  }
}

}  // namespace
}  // namespace bitstage::kernels
