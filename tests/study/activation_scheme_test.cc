#include "engine/study/activation_scheme.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bitstage {
namespace {

using ::testing::HasSubstr;

TEST(ParseScheme, ReadsEveryMethodWithItsOptions) {
  EXPECT_EQ(ParseScheme("float")->method, StudyMethod::kFloat);
  EXPECT_EQ(ParseScheme("direct:4")->bits, 4);
  const auto dqa = ParseScheme("dqa:3+2@0.4:random7");
  ASSERT_TRUE(dqa.ok()) << dqa.status();
  EXPECT_EQ(dqa->method, StudyMethod::kDqa);
  EXPECT_EQ(dqa->bits, 3);
  EXPECT_EQ(dqa->extra_bits, 2);
  EXPECT_EQ(dqa->important_share, 0.4);
  EXPECT_EQ(dqa->ranking, Ranking::kRandom);
  EXPECT_EQ(dqa->seed, 7u);
  EXPECT_EQ(ParseScheme("dqa:3+3")->ranking, Ranking::kGreedy) << "the paper's own";
  EXPECT_EQ(ParseScheme("dqa:3+3:gain")->ranking, Ranking::kGain);
  EXPECT_EQ(ParseScheme("noisy:3")->method, StudyMethod::kNoisy);
  const auto grid = ParseScheme("unsigned:2:percentile:shift");
  ASSERT_TRUE(grid.ok()) << grid.status();
  EXPECT_EQ(grid->clip.kind, ClipRule::kPercentile);
  EXPECT_EQ(grid->step, StepKind::kPowerOfTwo);
  EXPECT_EQ(ParseScheme("served:2+1:tensor")->step, StepKind::kTensor);
  EXPECT_EQ(ParseScheme("adaptive:3.5")->mean_bits, 3.5);
  EXPECT_EQ(ParseScheme("unsigned:1")->bits, 1) << "an unsigned bit is two levels";
}

TEST(ParseScheme, RefusesWhatIsNotUnderstoodQuotingIt) {
  for (const char* text : {"",
                           "int8",
                           "float:3",
                           "direct",
                           "direct:1",
                           "direct:9",
                           "direct:3+1",
                           "dqa:6+3",
                           "dqa:3+1@2",
                           "dqa:3+1@x",
                           "dqa:3+1:best",
                           "dqa:3+1:randomly",
                           "noisy:3:gain",
                           "unsigned:3:mse:row",
                           "unsigned:3:mse:tensor:more",
                           "served:0+1",
                           "served:3+1:gain",
                           "adaptive",
                           "adaptive:1",
                           "adaptive:3+1",
                           "adaptive:3:mse"}) {
    const absl::Status status = ParseScheme(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string("'") + text + "'"));
  }
}

}  // namespace
}  // namespace bitstage
