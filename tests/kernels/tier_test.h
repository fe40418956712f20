// What the tests that run once for every tier share: the tiers' names, and the fixture of the tests of convolutions.
// Suites instantiate themselves with ::testing::ValuesIn(TestedIsas()) and TierName.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/base/isa.h"
#include "engine/kernels/kernel_table.h"
#include "tests/kernels/amx_emulator.h"
#include "tests/kernels/random_case.h"

namespace bitstage::kernels {

std::string TierName(const ::testing::TestParamInfo<Isa>& info);

class ConvTest : public ::testing::TestWithParam<Isa> {
 protected:
  // The tier's convolutions that support the case, in the order of its table: the reference is the last.
  static std::vector<const ConvKernel*> KernelsFor(const ConvCase& conv);
  // Runs them all on the case, and compares every byte of their outputs with the reference's, and every byte around
  // them with what it was; failures name kernel and case. False if the running test has failed, now or before.
  static bool AllEqualTheReference(const ConvCase& conv);
};

}  // namespace bitstage::kernels
