#include "engine/data/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Range, IsCutAtTheEnd) {
  EXPECT_THAT(Range(5, 1, 3), ElementsAre(1, 2, 3));
  EXPECT_THAT(Range(5, 3, 100), ElementsAre(3, 4));
  EXPECT_THAT(Range(5, 7, 2), IsEmpty());
  EXPECT_THAT(Range(5, 0, -1), IsEmpty());
}

TEST(RandomSubset, HoldsDifferentIndicesInOrder) {
  const std::vector<int64_t> subset = RandomSubset(1000, 300, 1);
  ASSERT_EQ(subset.size(), 300u);
  EXPECT_TRUE(std::is_sorted(subset.begin(), subset.end()));
  EXPECT_EQ(std::adjacent_find(subset.begin(), subset.end()), subset.end());
  EXPECT_GE(subset.front(), 0);
  EXPECT_LT(subset.back(), 1000);
}

TEST(RandomSubset, TheSeedDecidesAlone) {
  EXPECT_EQ(RandomSubset(1000, 10, 1), RandomSubset(1000, 10, 1));
  EXPECT_NE(RandomSubset(1000, 10, 1), RandomSubset(1000, 10, 2));
  EXPECT_THAT(RandomSubset(3, 10, 5), ElementsAre(0, 1, 2));
}

TEST(RandomSubset, CoversTheWholeRangeEvenly) {
  int low = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) low += RandomSubset(10, 1, seed)[0] < 5 ? 1 : 0;
  EXPECT_NEAR(low, 500, 60);  // nearly four standard deviations
}

}  // namespace
}  // namespace bitstage
