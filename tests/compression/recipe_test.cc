#include "engine/compression/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bitstage {
namespace {

using ::testing::HasSubstr;

TEST(ParseWeights, TakesEveryDocumentedForm) {
  EXPECT_EQ(ParseWeights("adaptive")->method, WeightMethod::kAdaptive);
  const auto uniform = ParseWeights("uniform:3:layer");
  ASSERT_TRUE(uniform.ok());
  EXPECT_EQ(uniform->bits, 3);
  EXPECT_EQ(uniform->scale, ScaleKind::kLayer);
  EXPECT_EQ(ParseWeights("uniform:8")->scale, ScaleKind::kChannel);
  EXPECT_FALSE(ParseWeights("uniform:8")->only_inner);
  EXPECT_EQ(ParseWeights("inner:3")->bits, 3);
  EXPECT_TRUE(ParseWeights("inner:3")->only_inner);
  const auto binary = ParseWeights("syq:binary");
  ASSERT_TRUE(binary.ok());
  EXPECT_EQ(binary->codebook, Codebook::kBinary);
  EXPECT_EQ(binary->scale, ScaleKind::kPixel);
  EXPECT_EQ(ParseWeights("syq:ternary:row")->scale, ScaleKind::kRow);
  EXPECT_EQ(ParseWeights("syq:ternary:row")->max_alpha, 127);
  EXPECT_EQ(ParseWeights("syq:ternary:row/14")->scale, ScaleKind::kRow);
  EXPECT_EQ(ParseWeights("syq:ternary:pixel/14")->max_alpha, 14);
}

TEST(ParseWeights, RefusesTheRestAndSaysWhatIsTaken) {
  for (const char* text :
       {"", "uniform", "uniform:1", "uniform:9", "uniform:4:pixel", "syq", "syq:quaternary", "syq:ternary:channel",
        "syq:ternary:layer/14", "syq:ternary:pixel/128", "syq:ternary:row/0", "syq:ternary:row/1/2", "adaptive:4",
        "uniform:4:channel:x", "inner", "inner:1", "inner:4:row"}) {
    const auto weights = ParseWeights(text);
    EXPECT_EQ(weights.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(weights.status().message()), HasSubstr("expected")) << text;
  }
}

TEST(ParseActivations, TakesUniformAndBothKindsOfDqa) {
  EXPECT_EQ(ParseActivations("uniform:6")->bits, 6);
  const auto dqa = ParseActivations("dqa:4+2");
  ASSERT_TRUE(dqa.ok());
  EXPECT_EQ(dqa->method, ActivationMethod::kDqa);
  EXPECT_EQ(dqa->bits, 4);
  EXPECT_EQ(dqa->extra_bits, 2);
  EXPECT_EQ(dqa->code_bits, 8);
  EXPECT_EQ(ParseActivations("uniform:4/6")->code_bits, 6);
  EXPECT_EQ(ParseActivations("dqa:4+2/6")->code_bits, 6);
  EXPECT_EQ(ParseActivations("dqa:3")->extra_bits, 0);
  EXPECT_EQ(ParseActivations("dqa-paper:3+3")->method, ActivationMethod::kDqaPaper);
  EXPECT_EQ(ParseActivations("adaptive:3.5")->method, ActivationMethod::kAdaptive);
  EXPECT_DOUBLE_EQ(ParseActivations("adaptive:3.5")->mean_bits, 3.5);
  EXPECT_EQ(ParseActivations("adaptive:4/6")->code_bits, 6);
  for (const char* text : {"adaptive", "adaptive:", "adaptive:9", "adaptive:nan", "adaptive:4+1", "adaptive:7/6"}) {
    EXPECT_FALSE(ParseActivations(text).ok()) << text;
  }
  for (const char* text : {"uniform:1", "uniform:9", "dqa:6+3", "dqa:4+", "dqa:4+1+1", "float", "dqa", "uniform:4/9",
                           "uniform:7/6", "dqa:4+3/6", "dqa-paper:4/6", "uniform:4/6/6"}) {
    EXPECT_FALSE(ParseActivations(text).ok()) << text;
  }
}

TEST(ParseActivations, SaysTheLeastThatAdaptiveWidthsTake) {
  const absl::Status refused = ParseActivations("adaptive:1.9").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("widths of 2 (the least there is) to 8 bits"));
}

TEST(ParseBudget, TakesBitsBytesPointsAndNoise) {
  EXPECT_EQ(ParseBudget("4.5 bits")->kind, BudgetKind::kBits);
  EXPECT_DOUBLE_EQ(ParseBudget("1.2 MB")->amount, 1.2e6);
  EXPECT_DOUBLE_EQ(ParseBudget("300 KB")->amount, 3e5);
  const auto points = ParseBudget("-0.5 points");
  ASSERT_TRUE(points.ok());
  EXPECT_EQ(points->kind, BudgetKind::kPoints);
  EXPECT_DOUBLE_EQ(points->amount, 0.5);
  EXPECT_DOUBLE_EQ(ParseBudget("noise 0.05")->amount, 0.05);
  EXPECT_EQ(ParseBudget("2.5 ms")->kind, BudgetKind::kMilliseconds);
  EXPECT_DOUBLE_EQ(ParseBudget("2.5 ms")->amount, 2.5);
  EXPECT_EQ(ParseBudget("900 wire bytes")->kind, BudgetKind::kWireBytes);
  EXPECT_DOUBLE_EQ(ParseBudget("900 wire bytes")->amount, 900);
  for (const char* text : {"0 ms", "-1 ms", "900 wire", "900 bytes wire", "wire bytes"}) {
    EXPECT_FALSE(ParseBudget(text).ok()) << text;
  }
  for (const char* text : {"", "4.5", "bits", "0 bits", "-1 MB", "0.5 points", "much noise", "1 GB 2"}) {
    EXPECT_FALSE(ParseBudget(text).ok()) << text;
  }
}

TEST(ParseMenu, TakesRatesWidthsAndSyqCodesInAnyOrder) {
  const auto menu = ParseMenu("rates, syq:binary:row/14,2,uniform:3:layer ,syq:ternary:layer");
  ASSERT_TRUE(menu.ok()) << menu.status();
  ASSERT_EQ(menu->size(), 5u);
  EXPECT_EQ((*menu)[0], WeightRecipe{});
  EXPECT_EQ((*menu)[1], *ParseWeights("syq:binary:row/14"));
  EXPECT_EQ((*menu)[2], *ParseWeights("uniform:2"));
  EXPECT_EQ((*menu)[3].scale, ScaleKind::kLayer);
  EXPECT_EQ(*ParseRecipe(R"({"menu": "2,3"})")->menu.begin(), *ParseWeights("uniform:2"));
  Recipe recipe;
  recipe.menu = *menu;
  EXPECT_THAT(Describe(recipe), HasSubstr("weights adaptive of rates, syq:binary:row/14, uniform:2:ch"));
}

TEST(ParseMenu, NamesTheEntryThatItDoesNotUnderstand) {
  for (const char* entry : {"", "1", "9", "3.5", "adaptive", "syq", "syq:ternary:channel", "rate", "-2", "inner:4"}) {
    const auto menu = ParseMenu(std::string("2,") + entry);
    EXPECT_EQ(menu.status().code(), absl::StatusCode::kInvalidArgument) << entry;
    EXPECT_THAT(
        std::string(menu.status().message()),
        HasSubstr(std::string("menu entry '") + entry + "' is not understood, expected entries of rates, 2 to"));
  }
  EXPECT_THAT(std::string(ParseMenu("3,uniform:3").status().message()), HasSubstr("'uniform:3' is there twice"));
}

TEST(DefaultMenu, IsOfRatesAndOfWidthsWhereKernelsMustKnowThem) {
  EXPECT_EQ(DefaultMenu(std::nullopt), *ParseMenu("rates"));
  EXPECT_EQ(DefaultMenu(*ParseBudget("3 bits")), *ParseMenu("rates"));
  EXPECT_EQ(DefaultMenu(*ParseBudget("2 ms")), *ParseMenu("2,3,4,5,6,8"));
}

TEST(ParseRecipe, ReadsAFileAndNamesAWrongKey) {
  const auto recipe = ParseRecipe(
      R"({"weights": "uniform:4", "activations": "dqa:5+1", "second_order_rounding": false, "calibration_images": 20,
          "important_share": 0.25, "seed": 7})");
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  EXPECT_EQ(recipe->weights.bits, 4);
  EXPECT_FALSE(recipe->second_order_rounding);
  EXPECT_EQ(recipe->calibration_images, 20);
  EXPECT_DOUBLE_EQ(recipe->activations.important_share, 0.25);
  EXPECT_EQ(recipe->seed, 7u);

  EXPECT_THAT(std::string(ParseRecipe(R"({"weihgts": "adaptive"})").status().message()), HasSubstr("'weihgts'"));
  EXPECT_THAT(std::string(ParseRecipe(R"({"calibration_images": 0})").status().message()),
              HasSubstr("'calibration_images'"));
  EXPECT_FALSE(ParseRecipe("[]").ok());
  EXPECT_FALSE(ParseRecipe("{").ok());
}

}  // namespace
}  // namespace bitstage
