#include "engine/compression/activation_widths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "engine/compression/compress.h"
#include "engine/compression/sensitivity.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;

// A stem, two branches that meet in a concatenation, a pooling, two more convolutions, a classifier.
Graph BranchedGraph() {
  GraphBuilder b(11);
  const auto relu = [&](Conv conv, ValueId x) {
    conv.clamp = Clamp{0, 1e30f};
    return b.Add(conv, {x});
  };
  const ValueId x = b.Input({3, 12, 12});
  const ValueId stem = relu(b.MakeConv({3, 12, 12}, 8, 3, 1, 1), x);
  const ValueId left = relu(b.MakeConv({8, 12, 12}, 4, 1, 1, 0), stem);
  const ValueId right = relu(b.MakeConv({8, 12, 12}, 8, 3, 1, 1), stem);
  const ValueId both = b.Add(Concat{0}, {left, right});
  const ValueId pooled = b.Add(Pool{.kind = PoolKind::kMax, .window = {.kernel = {2, 2}, .stride = {2, 2}}}, {both});
  const ValueId deep = relu(b.MakeConv({12, 6, 6}, 16, 3, 1, 1), pooled);
  const ValueId last = relu(b.MakeConv({16, 6, 6}, 16, 3, 1, 1), deep);
  return b.Finish({b.Add(b.MakeFullyConnected(16, 10), {b.Add(GlobalAveragePool{.keep_dims = false}, {last})})});
}

struct Fixture {
  Graph graph = BranchedGraph();
  Tensor images = RandomTensor({12, 3, 12, 12}, 5);
  Calibration calibration = *Calibrate(graph, images, nullptr, {});
  GridGroups groups = GroupValues(graph);

  [[nodiscard]] absl::StatusOr<GroupRecipes> Allot(double mean_bits) const {
    return AllotWidths(graph, calibration, images, {.method = ActivationMethod::kAdaptive, .mean_bits = mean_bits},
                       /*depthwise_steps=*/false, nullptr, {});
  }
  [[nodiscard]] Graph WithGrids(const ActivationRecipe& recipe, const GroupRecipes& of_group = {}) const {
    Graph with_grids = graph.Clone();
    EXPECT_TRUE(AssignGrids(with_grids, calibration, recipe, of_group).ok());
    return with_grids;
  }
  // Mean bits and summed noise of the groups that have a choice.
  struct Effect {
    double bits = 0;
    double noise = 0;
  };
  [[nodiscard]] Effect EffectOf(const Graph& with_grids, const GroupRecipes& of_group) const {
    const auto noise = ActivationNoise::Create(graph, images.Clone(), nullptr);
    const Graph eight = WithGrids({});
    Effect effect;
    double elements = 0;
    for (const auto& [group, recipe] : of_group) {
      effect.bits += BitsOfGroup(with_grids, groups, group);
      elements += BitsOfGroup(eight, groups, group) / 8;
      effect.noise += *noise->OfGroup(with_grids, group);
    }
    effect.bits /= elements;
    return effect;
  }
};

TEST(WidthMenu, RisesByHalfBitsToTheWidthOfACode) {
  const auto menu = WidthMenu({.method = ActivationMethod::kAdaptive, .code_bits = 6});
  double bits = 1.5;
  for (const ActivationRecipe& choice : menu) {
    EXPECT_DOUBLE_EQ(choice.bits + choice.extra_bits * choice.important_share, bits + 0.5);
    EXPECT_LE(choice.bits + choice.extra_bits, 6);
    bits += 0.5;
  }
  EXPECT_EQ(bits, 6);
}

TEST(AllotWidths, KeepsTheBudgetAndSpendsIt) {
  const Fixture f;
  for (const double budget : {2.0, 2.7, 3.0, 4.25, 8.0}) {
    const auto widths = f.Allot(budget);
    ASSERT_TRUE(widths.ok()) << widths.status();
    const double bits = f.EffectOf(f.WithGrids({}, *widths), *widths).bits;
    EXPECT_LE(bits, budget + 1e-9);
    EXPECT_GT(bits, budget - 0.5);
  }
}

TEST(AllotWidths, EveryGroupButTheEdgesHasAChoice) {
  const Fixture f;
  const auto widths = f.Allot(3);
  ASSERT_TRUE(widths.ok()) << widths.status();
  // The stem, what is concatenated and pooled, and the two convolutions behind.
  EXPECT_EQ(widths->size(), 4u);
  const Graph with_grids = f.WithGrids({.method = ActivationMethod::kAdaptive}, *widths);
  for (size_t v = 0; v < f.groups.of_value.size(); ++v) {
    const std::optional<Grid>& grid = with_grids.values[v].grid;
    if (f.groups.fixed[static_cast<size_t>(f.groups.of_value[v])]) {
      EXPECT_EQ(grid->BitsOf(0), 8);
    }
  }
}

TEST(AllotWidths, LessNoiseThanEqualWidthsOfAsManyBits) {
  const Fixture f;
  for (const int bits : {3, 4}) {
    const auto widths = f.Allot(bits);
    ASSERT_TRUE(widths.ok()) << widths.status();
    const double adaptive = f.EffectOf(f.WithGrids({}, *widths), *widths).noise;
    const double equal = f.EffectOf(f.WithGrids({.bits = bits}), *widths).noise;
    EXPECT_LT(adaptive, equal);
  }
}

TEST(AllotWidths, TooFewBitsAreRefusedWithTheLeast) {
  const auto refused = Fixture().Allot(1.5);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("1.5 bits on average are too few, 2 is the least"));
}

TEST(AdaptiveActivations, GoWithEveryKindOfWeightsAndWithABudgetOfWireBytes) {
  const Fixture f;
  Model model;
  model.name = "branched";
  model.graph = f.graph.Clone();
  for (const char* weights : {"uniform:8", "adaptive", "syq:ternary:layer"}) {
    Recipe recipe;
    recipe.weights = *ParseWeights(weights);
    recipe.activations = *ParseActivations("adaptive:3.5");
    const auto low_bit = Compress(model, f.images, recipe, nullptr, {});
    ASSERT_TRUE(low_bit.ok()) << low_bit.status();
    EXPECT_THAT(low_bit->provenance.notes[0], HasSubstr("activations adaptive:3.5"));
    int narrow = 0;
    for (const Value& value : low_bit->graph.values) narrow += value.grid && value.grid->BitsOf(0) < 8;
    EXPECT_GE(narrow, 4);
  }
  Recipe recipe;
  recipe.activations = *ParseActivations("adaptive:6");
  recipe.budget = *ParseBudget("200 wire bytes");
  const auto low_bit = Compress(model, f.images, recipe, nullptr, {});
  ASSERT_TRUE(low_bit.ok()) << low_bit.status();
}

}  // namespace
}  // namespace bitstage
