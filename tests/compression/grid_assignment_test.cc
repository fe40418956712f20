#include "engine/compression/grid_assignment.h"

#include <gtest/gtest.h>

#include "engine/reference/float_executor.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

constexpr Clamp kRelu = {0, 1e30f};

Conv WithRelu(Conv conv) {
  conv.clamp = kRelu;
  return conv;
}

Graph AssignedGraph(Graph graph, const ActivationRecipe& recipe) {
  const Tensor images = RandomTensor(graph.value(graph.inputs[0]).shape.WithOuter(8), 3);
  const auto calibration = Calibrate(graph, images, nullptr, {});
  EXPECT_TRUE(calibration.ok()) << calibration.status();
  EXPECT_TRUE(AssignGrids(graph, *calibration, recipe).ok());
  return graph;
}

TEST(AssignGrids, CodesWhatFeedsAWeightedLayerAndLeavesTheAnswerFloat) {
  GraphBuilder b;
  const ValueId x = b.Input({3, 8, 8});
  const ValueId y = b.Add(WithRelu(b.MakeConv({3, 8, 8}, 8, 3, 1, 1)), {x});
  const ValueId p = b.Add(GlobalAveragePool{.keep_dims = false}, {y});
  const ValueId z = b.Add(b.MakeFullyConnected(8, 5), {p});
  const ValueId s = b.Add(Softmax{}, {z});
  const Graph graph = AssignedGraph(b.Finish({s}), {.bits = 4});
  EXPECT_TRUE(graph.value(x).grid);
  ASSERT_TRUE(graph.value(y).grid);
  EXPECT_EQ(graph.value(y).grid->zero_point, 0) << "nothing is negative after a ReLU";
  EXPECT_EQ(graph.value(y).grid->BitsOf(0), 4);
  ASSERT_TRUE(graph.value(p).grid);
  EXPECT_EQ(graph.value(p).grid->BitsOf(0), 8) << "what feeds the last layer keeps 8 bits";
  EXPECT_EQ(graph.value(x).grid->BitsOf(0), 8) << "so does the input";
  EXPECT_FALSE(graph.value(z).grid);
  EXPECT_FALSE(graph.value(s).grid);
}

TEST(AssignGrids, ConcatenationSharesStepAndZeroPointSoThatCodesAreMoved) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 6, 6});
  const ValueId left = b.Add(WithRelu(b.MakeConv({4, 6, 6}, 3, 1, 1, 0)), {x});
  const ValueId right = b.Add(WithRelu(b.MakeConv({4, 6, 6}, 5, 3, 1, 1)), {x});
  const ValueId both = b.Add(Concat{0}, {left, right});
  const ValueId pooled = b.Add(Pool{.kind = PoolKind::kMax, .window = {.kernel = {2, 2}, .stride = {2, 2}}}, {both});
  const ValueId mid = b.Add(WithRelu(b.MakeConv({8, 3, 3}, 4, 1, 1, 0)), {pooled});
  const Graph original = b.Finish({b.Add(b.MakeConv({4, 3, 3}, 4, 1, 1, 0), {mid})});
  for (const ActivationMethod method :
       {ActivationMethod::kUniform, ActivationMethod::kDqa, ActivationMethod::kDqaPaper}) {
    const Graph graph = AssignedGraph(original.Clone(), {.method = method, .bits = 4, .extra_bits = 2});
    const Grid& joined = *graph.value(both).grid;
    EXPECT_EQ(joined, *graph.value(pooled).grid);
    for (int64_t c = 0; c < 8; ++c) {
      const Grid& part = *graph.value(c < 3 ? left : right).grid;
      const int64_t from = c < 3 ? c : c - 3;
      EXPECT_EQ(joined.zero_point, part.zero_point);
      EXPECT_EQ(joined.StepOf(c), part.StepOf(from));
      EXPECT_EQ(joined.BitsOf(c), part.BitsOf(from));
      EXPECT_EQ(joined.ShiftOf(c), part.ShiftOf(from));
    }
  }
}

TEST(AssignGrids, WhatOnlyDepthwiseLayersReadHasAStepAChannelIfTheirWeightsTakeIt) {
  GraphBuilder b;
  const ValueId x = b.Input({3, 8, 8});
  const ValueId wide = b.Add(WithRelu(b.MakeConv({3, 8, 8}, 6, 1, 1, 0)), {x});
  const ValueId deep = b.Add(WithRelu(b.MakeConv({6, 8, 8}, 6, 3, 1, 1, /*groups=*/6)), {wide});
  const Graph original = b.Finish({b.Add(b.MakeConv({6, 8, 8}, 4, 1, 1, 0), {deep})});
  const Tensor images = RandomTensor(original.value(x).shape.WithOuter(8), 3);
  const auto calibration = Calibrate(original, images, nullptr, {});
  ASSERT_TRUE(calibration.ok()) << calibration.status();
  for (const ActivationRecipe& recipe :
       {ActivationRecipe{}, ActivationRecipe{.method = ActivationMethod::kDqa, .bits = 4, .extra_bits = 1}}) {
    for (const bool depthwise_steps : {false, true}) {
      Graph graph = original.Clone();
      ASSERT_TRUE(AssignGrids(graph, *calibration, recipe, /*of_group=*/{}, depthwise_steps).ok());
      EXPECT_EQ(graph.value(wide).grid->HasStepPerChannel(), depthwise_steps);
      EXPECT_FALSE(graph.value(deep).grid->HasStepPerChannel()) << "the last layer adds its channels up";
      EXPECT_FALSE(graph.value(x).grid->HasStepPerChannel());
    }
  }
}

TEST(AssignGrids, DqaGivesExtraBitsToTheShareOfChannelsThatWasAskedFor) {
  GraphBuilder b;
  const ValueId x = b.Input({3, 8, 8});
  const ValueId y = b.Add(WithRelu(b.MakeConv({3, 8, 8}, 8, 3, 1, 1)), {x});
  const ValueId z = b.Add(WithRelu(b.MakeConv({8, 8, 8}, 8, 3, 1, 1)), {y});
  const ValueId w = b.Add(b.MakeConv({8, 8, 8}, 4, 1, 1, 0), {z});
  const Graph graph = AssignedGraph(
      b.Finish({w}), {.method = ActivationMethod::kDqa, .bits = 3, .extra_bits = 2, .important_share = 0.25});
  int important = 0;
  for (int64_t c = 0; c < 8; ++c) {
    const int bits = graph.value(y).grid->BitsOf(c);
    EXPECT_TRUE(bits == 3 || bits == 5);
    important += bits == 5;
  }
  EXPECT_EQ(important, 2);
}

TEST(AssignGrids, OutputThatAlsoFeedsALayerStaysFloatThroughACopy) {
  GraphBuilder b;
  const ValueId x = b.Input({3, 4, 4});
  const ValueId y = b.Add(WithRelu(b.MakeConv({3, 4, 4}, 4, 1, 1, 0)), {x});
  const ValueId z = b.Add(b.MakeConv({4, 4, 4}, 4, 1, 1, 0), {y});
  Graph graph = b.Finish({y, z});
  const std::string name = graph.value(y).name;
  graph = AssignedGraph(std::move(graph), {});
  EXPECT_TRUE(graph.value(y).grid);
  EXPECT_NE(graph.outputs[0], y);
  EXPECT_EQ(graph.value(graph.outputs[0]).name, name);
  EXPECT_FALSE(graph.value(graph.outputs[0]).grid);
}

TEST(MovedGrid, SlicesAndPadsChannelsWithTheirGrids) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 2, 2});
  const ValueId sliced = b.Add(Slice{{1, 0, 0}, {2, 1, 1}, {2, 2, 2}}, {x});
  b.Add(Pad{{1, 0, 0}, {1, 0, 0}, 0}, {sliced});
  Graph& graph = b.graph();
  graph.value(x).grid = Grid{.zero_point = 0, .step = {0.5f}, .bits = {3, 4, 5, 6}, .shift = {3, 2, 1, 0}};
  const auto middle = MovedGrid(graph, graph.nodes[0]);
  ASSERT_TRUE(middle);
  EXPECT_EQ(middle->bits, (std::vector<uint8_t>{4, 6}));
  EXPECT_EQ(middle->shift, (std::vector<uint8_t>{2, 0}));
  graph.value(sliced).grid = middle;
  const auto wide = MovedGrid(graph, graph.nodes[1]);
  ASSERT_TRUE(wide);
  EXPECT_EQ(wide->bits.size(), 4u);
  EXPECT_EQ(wide->BitsOf(1), 4);
  EXPECT_EQ(wide->BitsOf(2), 6);
}

}  // namespace
}  // namespace bitstage
