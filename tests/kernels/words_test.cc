// Words against the reference's transform: in plain arithmetic for every accumulator, and in all kernels that know
// them.
#include "engine/kernels/words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "engine/kernels/kernel_table.h"
#include "engine/kernels/reference/reference.h"
#include "tests/kernels/random_case.h"
#include "tests/kernels/tier_test.h"

namespace bitstage::kernels {
namespace {

// What words.h says, an operation after the other.
uint8_t CodeByWords(const Words& words, const OutputTransform& transform, size_t o, int64_t acc) {
  const int64_t a = std::clamp<int64_t>(words.scale * acc + words.offset[o], 0, 0xffff);
  const auto upper = static_cast<int16_t>(static_cast<uint16_t>(a * words.multiply[o] >> 16) >> words.shift);
  const int mask = 0xff << (transform.shift == nullptr ? 0 : transform.shift[o]);
  return static_cast<uint8_t>(std::min(std::clamp<int>(upper, 0, 255) & mask & 0xff, int{transform.high_codes[o]}));
}

// Whether words, where there are some, give the reference's codes for all accumulators.
bool Equal(const OutputTransform& transform, const std::vector<AccumulatorRange>& ranges, const Words& words) {
  for (size_t o = 0; o < ranges.size(); ++o) {
    for (int64_t acc = ranges[o].least; acc <= ranges[o].most; ++acc) {
      const auto c = static_cast<int64_t>(o);
      const uint8_t expected =
          reference::Code(transform, c, reference::Scaled(transform, c, static_cast<int32_t>(acc)));
      if (CodeByWords(words, transform, o, acc) != expected) {
        ADD_FAILURE() << "accumulator " << acc << " of " << ranges[o].least << " … " << ranges[o].most << ", mult "
                      << transform.mult[o] << ", add " << transform.add[o] << ", high " << transform.high[o]
                      << ", scale " << words.scale << ": " << int{CodeByWords(words, transform, o, acc)}
                      << " instead of " << int{expected};
        return false;
      }
    }
  }
  return true;
}

struct Found {
  int cases = 0;
  int found = 0;
};

// Random transforms, of one channel or of some, over random ranges.
Found TryAll(Random& random, int cases, int64_t most_channels, const std::vector<int>& max_scales,
             void (*change)(Random& random, TransformArrays& arrays)) {
  Found result;
  for (; result.cases < cases; ++result.cases) {
    const int64_t channels = random.Int(1, most_channels);
    const auto spread = static_cast<float>(std::exp2(random.Float(2, 13)));
    TransformArrays arrays = TransformArrays::MakeFew(random, channels, spread);
    change(random, arrays);
    std::vector<AccumulatorRange> ranges;
    for (int64_t c = 0; c < channels; ++c) {
      const auto least = static_cast<int32_t>(spread * random.Float(-2, 1));
      ranges.push_back({least, least + static_cast<int32_t>(spread * random.Float(0, 3))});
    }
    const int max_scale = random.OneOf(max_scales);
    const OutputTransform transform = arrays.PreparedView(false, 4 * spread);
    const std::optional<Words> words = FindWords(transform, ranges, max_scale);
    if (!words) continue;
    EXPECT_LE(words->scale, max_scale);
    EXPECT_GE(words->scale, 1);
    if (!Equal(transform, ranges, *words)) break;
    ++result.found;
  }
  return result;
}

TEST(WordsTest, CodesEqualTheReferencesForEveryAccumulator) {
  Random random(1);
  const Found ternary = TryAll(random, 2000, 1, {127}, [](Random&, TransformArrays&) {});
  EXPECT_GT(ternary.found, ternary.cases * 3 / 4);
  const Found winograd = TryAll(random, 1000, 1, {14, 7, 2, 1}, [](Random&, TransformArrays&) {});
  EXPECT_GT(winograd.found, winograd.cases / 3);
  const Found layers = TryAll(random, 100, 40, {127}, [](Random&, TransformArrays&) {});
  EXPECT_GT(layers.found, layers.cases / 3);
}

TEST(WordsTest, TransformsOfUnusualNumbersAreExactOrRefused) {
  Random random(2);
  TryAll(random, 300, 1, {127, 14}, [](Random& r, TransformArrays& arrays) {  // steps of any size
    arrays.mult[0] = std::exp2(r.Float(-60, 60));
  });
  TryAll(random, 300, 1, {127, 14}, [](Random& r, TransformArrays& arrays) {  // far from all codes, or among them
    arrays.add[0] = std::copysign(std::exp2(r.Float(-30, 60)), r.Float(-1, 1));
  });
  TryAll(random, 300, 1, {127, 14}, [](Random& r, TransformArrays& arrays) {  // limits of any kind, crossed too
    arrays.low[0] = r.Float(0, arrays.high[0]);
    if (r.OneIn(3)) std::swap(arrays.low[0], arrays.high[0]);
  });
}

TEST(WordsTest, FallingTransformsAndManyCodesHaveNone) {
  const std::vector<AccumulatorRange> ranges = {{-1000, 1000}};
  TransformArrays arrays;
  arrays.mult = {-0.01F};
  arrays.add = {7.3F};
  arrays.low = {0};
  arrays.high = {15};
  EXPECT_FALSE(FindWords(arrays.View(false), ranges, 127).has_value());
  arrays.mult = {0.0123F};
  EXPECT_TRUE(FindWords(arrays.View(false), ranges, 127).has_value());
  arrays.mult = {0.1F};
  arrays.high = {255};
  EXPECT_FALSE(FindWords(arrays.View(false), ranges, 127).has_value());
}

// A channel that never leaves a code, whatever its weights.
TEST(WordsTest, ChannelsOfOneCodeHaveWords) {
  for (const float add : {-100.0F, 0.0F, 0.4F, 7.0F, 15.0F, 1000.0F}) {
    TransformArrays arrays;
    arrays.mult = {0.01F, 0};
    arrays.add = {add, add};
    arrays.low = {0, 0};
    arrays.high = {15, 15};
    const std::vector<AccumulatorRange> ranges = {{0, 0}, {-500, 500}};
    const OutputTransform transform = arrays.PreparedView(false, 500);
    const std::optional<Words> words = FindWords(transform, ranges, 127);
    if (words) {
      EXPECT_TRUE(Equal(transform, ranges, *words)) << add;
    }
  }
}

class WordsKernelTest : public ConvTest {};

INSTANTIATE_TEST_SUITE_P(Tiers, WordsKernelTest, ::testing::ValuesIn(TestedIsas()), TierName);

ConvShape ShapeFor(Random& random, int kind) {
  const auto channels = [&] {
    return random.OneIn(2) ? random.OneOf<int64_t>({16, 32, 48, 64, 80, 96, 144}) : random.Int(1, 150);
  };
  ConvShape shape = {random.Int(3, 9), random.Int(3, 30), channels(), 1, 1, channels(), 1, 3, 3, 1, 1, 1, 1, 1, 1};
  if (kind == 0) shape.kernel_height = shape.kernel_width = 1, shape.pad_top = shape.pad_left = 0;
  if (kind == 1) shape.in_channels = 16, shape.out_channels = 16 * random.Int(1, 5);
  if (kind == 2) shape.groups = shape.out_channels = shape.in_channels;
  if (kind == 2 && random.OneIn(3)) shape.kernel_height = shape.kernel_width = 5;
  if (kind > 1 && !random.OneIn(3)) shape.stride_height = shape.stride_width = 2;
  shape.out_height = (shape.in_height + 2 * shape.pad_top - shape.kernel_height) / shape.stride_height + 1;
  shape.out_width = (shape.in_width + 2 * shape.pad_left - shape.kernel_width) / shape.stride_width + 1;
  return shape;
}

TEST_P(WordsKernelTest, EveryKernelThatKnowsWordsEqualsTheReferenceByThem) {
  std::map<std::string, int> by_words;
  std::map<bool, int> shifted;
  for (const ConvKernel* kernel : TableFor(GetParam()).convs) {
    if (kernel->scale != nullptr) by_words[kernel->name] = 0;
  }
  if (by_words.empty()) return;  // the tier has none
  for (uint32_t seed = 0; seed < 1000; ++seed) {
    Random random(seed);
    const ConvShape shape = ShapeFor(random, static_cast<int>(seed % 4));
    ConvCase::Bounds bounds;
    bounds.max_code = random.OneOf<int>({15, 60, 63});
    bounds.max_weight = random.OneOf<int>({1, 1, 2});
    bounds.weight_values = random.OneOf<int>({0, 3});
    ConvCase conv = ConvCase::Make(random, shape, bounds);
    conv.to_float = false;
    conv.prepared = true;
    conv.residual.clear();
    const double weights = static_cast<double>(conv.weights.size()) / static_cast<double>(shape.out_channels);
    // Where an accumulator is worth a code, words do without a shift.
    const double spread = bounds.max_code * bounds.max_weight * std::sqrt(weights) / (random.OneIn(2) ? 1 : 32);
    conv.transform = TransformArrays::MakeFew(random, shape.out_channels, static_cast<float>(spread));
    std::vector<uint8_t> expected;
    for (const ConvKernel* kernel : KernelsFor(conv)) {
      const std::optional<Words> words = conv.WordsFor(*kernel);
      if (!words) continue;
      ++by_words[kernel->name];
      ++shifted[words->shift > 0];
      if (expected.empty()) expected = conv.Run(reference::kConv);
      const std::vector<uint8_t> output = conv.Run(*kernel);
      ASSERT_TRUE(conv.OutsideIsUntouched(output)) << kernel->name << " wrote outside: " << conv.Describe();
      ASSERT_TRUE(output == expected) << kernel->name << " differs, seed " << seed << ": " << conv.Describe();
    }
  }
  for (const auto& [name, cases] : by_words) {
    EXPECT_GE(cases, 20) << name;
    RecordProperty(name, cases);
  }
  EXPECT_GE(shifted[false], 20);
  EXPECT_GE(shifted[true], 20);
}

}  // namespace
}  // namespace bitstage::kernels
