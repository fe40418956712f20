#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/kernels/kernel_table.h"
#include "engine/kernels/reference/reference.h"
#include "tests/kernels/random_case.h"
#include "tests/kernels/tier_test.h"

namespace bitstage::kernels {
namespace {

using ::testing::ElementsAre;

class AddTest : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Tiers, AddTest, ::testing::ValuesIn(TestedIsas()), TierName);

std::vector<uint8_t> RandomCodes(Random& random, int64_t count) {
  std::vector<uint8_t> codes(static_cast<size_t>(count));
  for (uint8_t& code : codes) code = static_cast<uint8_t>(random.Int(0, 255));
  return codes;
}

TEST_P(AddTest, RandomSumsEqualTheReferenceAndTouchNothingElse) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    AddCall call = {};
    call.channels = random.Int(1, 130);
    call.pixels = random.Int(1, 20);
    call.a_pixel_stride = call.channels + random.Int(0, 20);
    call.b_pixel_stride = call.channels + random.Int(0, 20);
    call.output_pixel_stride = call.channels + random.Int(0, 20);
    const std::vector<uint8_t> a = RandomCodes(random, call.pixels * call.a_pixel_stride + 64);
    const std::vector<uint8_t> b = RandomCodes(random, call.pixels * call.b_pixel_stride + 64);
    const TransformArrays transform = TransformArrays::Make(random, call.channels, 300.0f, false, false);
    const std::vector<float> mult_a = TransformArrays::Make(random, call.channels, 300.0f, false, false).mult;
    call.a = a.data();
    call.b = b.data();
    call.mult_a = mult_a.data();
    call.transform = transform.View(false);

    const std::vector<uint8_t> untouched(static_cast<size_t>(call.pixels * call.output_pixel_stride), 0xa5);
    std::vector<uint8_t> expected = untouched;
    std::vector<uint8_t> output = untouched;
    call.output = expected.data();
    reference::Add(call);
    call.output = output.data();
    TableFor(GetParam()).add(call);
    ASSERT_TRUE(output == expected) << "seed " << seed << ", " << call.channels << " channels";
    for (size_t i = 0; i < output.size(); ++i) {
      const bool owned = static_cast<int64_t>(i) % call.output_pixel_stride < call.channels;
      ASSERT_TRUE(owned || output[i] == 0xa5) << "seed " << seed;
    }
  }
}

// a/2 + b/4 − 1, between 0 and 20, halves to even.
TEST_P(AddTest, ByHand) {
  std::vector<uint8_t> a = {2, 3, 5, 0, 255};
  std::vector<uint8_t> b = {0, 0, 4, 2, 255};
  a.resize(5 + 64);
  b.resize(5 + 64);
  const std::vector<float> half(5, 0.5f), quarter(5, 0.25f), minus_one(5, -1.0f), low(5, 0.0f), high(5, 20.0f);
  std::vector<uint8_t> output(5);
  AddCall call = {};
  call.a = a.data();
  call.b = b.data();
  call.a_pixel_stride = call.b_pixel_stride = call.output_pixel_stride = call.channels = 5;
  call.pixels = 1;
  call.mult_a = half.data();
  call.transform = {quarter.data(), minus_one.data(), nullptr, low.data(), high.data(), nullptr, false};
  call.output = output.data();
  TableFor(GetParam()).add(call);
  // 0, 0.5, 2.5, −0.5, 190.25
  EXPECT_THAT(output, ElementsAre(0, 0, 2, 0, 20));
}

}  // namespace
}  // namespace bitstage::kernels
