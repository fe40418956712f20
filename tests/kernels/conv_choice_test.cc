// Which convolution a tier's table gives a layer.
#include <gtest/gtest.h>

#include <string>

#include "engine/kernels/kernel_table.h"
#include "engine/kernels/reference/reference.h"
#include "tests/kernels/random_case.h"
#include "tests/kernels/tier_test.h"

namespace bitstage::kernels {
namespace {

TEST_P(ConvTest, TheReferenceIsLastAndSupportsEverything) {
  const KernelTable& table = TableFor(GetParam());
  EXPECT_EQ(table.isa, GetParam());
  ASSERT_FALSE(table.convs.empty());
  EXPECT_EQ(table.convs.back(), &reference::kConv);
  EXPECT_TRUE(reference::kConv.supports({}, 255, 127));
}

TEST_P(ConvTest, ChoosesTheFastestKernelThatIsExact) {
  const KernelTable& table = TableFor(GetParam());
  const ConvShape dense = {8, 8, 32, 8, 8, 32, 1, 3, 3, 1, 1, 1, 1, 1, 1};
  const ConvShape strided = {8, 8, 32, 4, 4, 32, 1, 3, 3, 2, 2, 1, 1, 1, 1};
  const ConvShape depthwise = {8, 8, 32, 8, 8, 32, 32, 3, 3, 1, 1, 1, 1, 1, 1};
  const auto name = [&](const ConvShape& shape, int max_code, int max_weight) {
    return std::string(table.ChooseConv(shape, max_code, max_weight).name);
  };
  const ConvShape product = {1, 1, 512, 1, 1, 1000, 1, 1, 1, 1, 1, 1, 1, 0, 0};
  switch (GetParam()) {
    case Isa::kReference:
      EXPECT_EQ(name(dense, 15, 7), "reference");
      EXPECT_EQ(name(depthwise, 255, 127), "reference");
      break;
    case Isa::kAvx2:
      EXPECT_EQ(name(dense, 15, 1), "avx2_winograd");
      EXPECT_EQ(name(dense, 255, 127), "avx2_winograd_words");
      EXPECT_EQ(name(strided, 255, 1), "avx2_pairs");
      EXPECT_EQ(name(strided, 255, 64), "avx2_direct_bytes");  // 2 · 255 · 64 = 32640
      EXPECT_EQ(name(strided, 255, 65), "avx2_words");         // 33150 > 32767
      EXPECT_EQ(name(strided, 129, 127), "avx2_direct_bytes");
      EXPECT_EQ(name(strided, 130, 127), "avx2_words");
      EXPECT_EQ(name(depthwise, 255, 127), "avx2_depthwise");
      EXPECT_EQ(name(depthwise, 15, 1), "avx2_depthwise_bytes");
      EXPECT_EQ(name(product, 255, 7), "avx2_gemv");
      break;
    case Isa::kAvx512Vnni:
      EXPECT_EQ(name(dense, 255, 127), "vnni_patch");
      EXPECT_EQ(name(depthwise, 255, 127), "vnni_depthwise");
      EXPECT_EQ(name(product, 255, 127), "vnni_gemv");
      break;
    case Isa::kAmx:
      EXPECT_EQ(name(dense, 255, 127), "amx_direct");
      EXPECT_EQ(name(depthwise, 255, 127), "vnni_depthwise");
      break;
  }
}

TEST_P(ConvTest, ChoosesTheCheapestKernelThatSupports) {
  const KernelTable& table = TableFor(GetParam());
  for (uint32_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    const ConvCase conv = ConvCase::Make(random, RandomShape(random));
    const ConvKernel& chosen = table.ChooseConv(conv.shape, conv.max_code, conv.max_weight);
    EXPECT_TRUE(chosen.supports(conv.shape, conv.max_code, conv.max_weight));
    const double least = chosen.cycles(conv.shape, conv.max_code, conv.max_weight);
    EXPECT_GT(least, 0);
    for (const ConvKernel* kernel : KernelsFor(conv)) {
      EXPECT_GE(kernel->cycles(conv.shape, conv.max_code, conv.max_weight), least) << kernel->name;
    }
  }
}

}  // namespace
}  // namespace bitstage::kernels
