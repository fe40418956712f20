// Floats to codes, every tier against Grid::Code.
#include <gtest/gtest.h>

#include <limits>

#include "engine/kernels/kernel_table.h"
#include "engine/tensor/grid.h"
#include "tests/kernels/random_case.h"
#include "tests/kernels/tier_test.h"

namespace bitstage::kernels {
namespace {

class QuantizeTest : public ::testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Tiers, QuantizeTest, ::testing::ValuesIn(TestedIsas()), TierName);

// A value anywhere on the grid or beyond, often in the middle between two codes, now and then none at all.
float RandomValue(Random& random, const Grid& grid, int64_t channel) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (random.OneIn(20)) {
    return random.OneOf<float>({std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity, 0.0f, -0.0f, 1e38f,
                                -1e38f, std::numeric_limits<float>::denorm_min()});
  }
  const float code = random.OneIn(2) ? static_cast<float>(random.Int(-20, 280)) + 0.5f : random.Float(-20, 280);
  return (code - static_cast<float>(grid.zero_point)) * grid.StepOf(channel);
}

Grid RandomGrid(Random& random, int64_t channels) {
  Grid grid;
  const auto entries = static_cast<size_t>(random.OneIn(2) ? 1 : channels);
  grid.zero_point = random.OneIn(2) ? 0 : static_cast<int>(random.Int(0, 255));
  grid.step.assign(entries, 1.0f);
  grid.bits.assign(entries, 8);
  grid.shift.assign(entries, 0);
  for (size_t c = 0; c < entries; ++c) {
    grid.step[c] = random.OneIn(4) ? 0.25f : random.Float(0.001f, 2.0f);
    grid.shift[c] = static_cast<uint8_t>(random.Int(0, 7));
    grid.bits[c] = static_cast<uint8_t>(random.Int(1, 8 - grid.shift[c]));
  }
  return grid;
}

TEST_P(QuantizeTest, EveryCodeIsThatOfTheGridAndNothingElseIsWritten) {
  for (uint32_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const int64_t channels = random.OneIn(2) ? 3 : random.Int(1, 20);
    const int64_t pixels = random.Int(1, 300);
    const Grid grid = RandomGrid(random, channels);
    ASSERT_TRUE(Validate(grid, channels).ok());
    const int64_t plane = pixels + random.Int(0, 5);
    std::vector<float> input(static_cast<size_t>(plane * channels));
    std::vector<QuantizeChannel> of_channel;
    for (int64_t c = 0; c < channels; ++c) {
      of_channel.push_back({grid.StepOf(c), static_cast<float>(grid.zero_point), static_cast<float>(grid.MaxSymbol(c)),
                            grid.ShiftOf(c)});
      for (int64_t p = 0; p < plane; ++p) input[static_cast<size_t>(c * plane + p)] = RandomValue(random, grid, c);
    }
    const int64_t stride = channels + (random.OneIn(2) ? 0 : random.Int(1, 9));
    std::vector<uint8_t> output(static_cast<size_t>(pixels * stride), 0xa5);
    std::vector<uint8_t> expected = output;
    for (int64_t p = 0; p < pixels; ++p) {
      for (int64_t c = 0; c < channels; ++c) {
        expected[static_cast<size_t>(p * stride + c)] = grid.Code(input[static_cast<size_t>(c * plane + p)], c);
      }
    }
    TableFor(GetParam()).quantize({input.data(), plane, of_channel.data(), pixels, channels, output.data(), stride});
    ASSERT_TRUE(output == expected) << "seed " << seed;
  }
}

}  // namespace
}  // namespace bitstage::kernels
