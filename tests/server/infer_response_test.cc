#include "server/services/infer_response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/server/request_samples.h"

namespace bitstage::server {
namespace {

using ::testing::Eq;

std::string Classify(const std::vector<float>& values, int64_t k, const std::vector<std::string>& labels = {}) {
  std::string raw;
  AppendClassification(values, k, labels, raw);
  return raw;
}

TEST(Classification, IsValueIndexAndLabelHighestFirst) {
  EXPECT_THAT(Classify({1, 8978.5f, 3}, 2, {"zero", "one", "two"}),
              Eq(BytesElement("8978.500000:1:one") + BytesElement("3.000000:2:two")));
}

TEST(Classification, HasNoLabelWhereTheModelHasNone) {
  EXPECT_THAT(Classify({0, 1}, 2, {"zero"}), Eq(BytesElement("1.000000:1") + BytesElement("0.000000:0:zero")));
}

TEST(Classification, PutsTheLowerIndexFirstAmongEquals) {
  EXPECT_THAT(Classify({2, 2, 2}, 2), Eq(BytesElement("2.000000:0") + BytesElement("2.000000:1")));
}

TEST(Classification, PutsWhatIsNoNumberLast) { EXPECT_THAT(Classify({NAN, -1}, 1), Eq(BytesElement("-1.000000:1"))); }

}  // namespace
}  // namespace bitstage::server
