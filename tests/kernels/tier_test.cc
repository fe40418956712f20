#include "tests/kernels/tier_test.h"

#include "engine/kernels/reference/reference.h"

namespace bitstage::kernels {

std::string TierName(const ::testing::TestParamInfo<Isa>& info) { return std::string(Name(info.param)); }

std::vector<const ConvKernel*> ConvTest::KernelsFor(const ConvCase& conv) {
  std::vector<const ConvKernel*> kernels;
  for (const ConvKernel* kernel : TableFor(GetParam()).convs) {
    if (kernel->supports(conv.shape, conv.max_code, conv.max_weight)) kernels.push_back(kernel);
  }
  return kernels;
}

bool ConvTest::AllEqualTheReference(const ConvCase& conv) {
  const std::vector<uint8_t> expected = conv.Run(reference::kConv);
  EXPECT_TRUE(conv.OutsideIsUntouched(expected)) << "reference wrote outside: " << conv.Describe();
  for (const ConvKernel* kernel : KernelsFor(conv)) {
    const std::vector<uint8_t> output = conv.Run(*kernel);
    EXPECT_TRUE(conv.OutsideIsUntouched(output)) << kernel->name << " wrote outside: " << conv.Describe();
    EXPECT_TRUE(output == expected) << kernel->name << " differs: " << conv.Describe();
  }
  return !HasFailure();
}

}  // namespace bitstage::kernels
