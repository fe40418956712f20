#include "engine/graph/passes.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/reference/float_executor.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const Unary kRelu{UnaryKind::kClamp, 0, kInfinity};

// The operators in order, with what is fused into them: "Conv", "Conv+residual+clamp" …
std::vector<std::string> Ops(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) {
    std::string name = OpName(node.op);
    const auto* conv = std::get_if<Conv>(&node.op);
    const auto* fc = std::get_if<FullyConnected>(&node.op);
    const auto* binary = std::get_if<Binary>(&node.op);
    if (conv != nullptr && node.inputs.size() == 2) name += "+residual";
    if ((conv != nullptr && conv->clamp) || (fc != nullptr && fc->clamp) || (binary != nullptr && binary->clamp)) {
      name += "+clamp";
    }
    names.push_back(name);
  }
  return names;
}

std::vector<Tensor> Run(const Graph& graph) {
  std::vector<Tensor> inputs;
  std::vector<TensorView> views;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    inputs.push_back(RandomTensor(graph.value(graph.inputs[i]).shape.WithOuter(2), static_cast<unsigned>(i + 100)));
    views.push_back(inputs.back().View());
  }
  auto outputs = FloatExecutor(graph, nullptr).Run(views);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return outputs.ok() ? *std::move(outputs) : std::vector<Tensor>();
}

// The optimized graph, after a check that it computes the same under the same names.
Graph Optimized(const Graph& graph) {
  Graph optimized = graph.Clone();
  const absl::Status status = Optimize(optimized);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(graph.inputs.size(), optimized.inputs.size());
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    EXPECT_EQ(graph.value(graph.inputs[i]).name, optimized.value(optimized.inputs[i]).name);
  }
  const std::vector<Tensor> before = Run(graph), after = Run(optimized);
  EXPECT_EQ(before.size(), after.size());
  for (size_t i = 0; i < std::min(before.size(), after.size()); ++i) {
    EXPECT_EQ(graph.value(graph.outputs[i]).name, optimized.value(optimized.outputs[i]).name);
    EXPECT_EQ(before[i].shape().ToString(), after[i].shape().ToString());
    const std::span<const float> x = before[i].Span<float>(), y = after[i].Span<float>();
    float largest = 1e-3f;
    for (const float value : x) largest = std::max(largest, std::abs(value));
    for (size_t j = 0; j < std::min(x.size(), y.size()); ++j) {
      if (!(std::abs(x[j] - y[j]) <= 1e-5f * largest)) {
        ADD_FAILURE() << "output " << i << " element " << j << ": " << x[j] << " became " << y[j];
        break;
      }
    }
  }
  return optimized;
}

ChannelAffine MakeAffine(GraphBuilder& b, int64_t channels) {
  return {b.Random({channels}, 0.5f, 2), b.Random({channels})};
}

TEST(PassesTest, NodesThatChangeNothingDisappear) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 6, 6});
  ValueId y = b.Add(Unary{UnaryKind::kIdentity, 0, 0}, {x});
  y = b.Add(Unary{UnaryKind::kClamp, -kInfinity, kInfinity}, {y});
  y = b.Add(Transpose{{0, 1, 2}}, {y});
  y = b.Add(Reshape{{4, 6, 6}}, {y});
  y = b.Add(Pad{{0, 0, 0}, {0, 0, 0}, 3}, {y});
  y = b.Add(Slice{{0, 0, 0}, {1, 1, 1}, {4, 6, 6}}, {y});
  y = b.Add(Concat{0}, {y});
  y = b.Add(Pool{PoolKind::kAverage, {}, false}, {y});
  y = b.Add(Unary{UnaryKind::kTanh, 0, 0}, {y});
  y = b.Add(Unary{UnaryKind::kIdentity, 0, 0}, {y});  // its value is the graph's output: the name must stay
  EXPECT_THAT(Ops(Optimized(b.Finish({y}))), ElementsAre("Tanh"));
}

TEST(PassesTest, AnIdentityBetweenInputAndOutputStays) {
  GraphBuilder b;
  const ValueId x = b.Input({4});
  EXPECT_THAT(Ops(Optimized(b.Finish({b.Add(Unary{UnaryKind::kIdentity, 0, 0}, {x})}))), ElementsAre("Identity"));
}

TEST(PassesTest, WhatNoOutputNeedsIsDropped) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 6, 6});
  const ValueId unused_input = b.Input({3});
  b.Add(b.MakeConv({4, 6, 6}, 8, 3, 1, 1), {x});
  b.Add(Unary{UnaryKind::kTanh, 0, 0}, {unused_input});
  const Graph graph = Optimized(b.Finish({b.Add(GlobalAveragePool{}, {x})}));
  EXPECT_THAT(Ops(graph), ElementsAre("GlobalAveragePool"));
  EXPECT_EQ(graph.constants.size(), 0u);
  EXPECT_EQ(graph.values.size(), 3u);
}

TEST(PassesTest, BatchNormAndPerChannelConstantsFoldIntoTheProducer) {
  for (const int64_t groups : {1, 2, 4}) {
    GraphBuilder b;
    const ValueId x = b.Input({4, 6, 6});
    Conv conv = b.MakeConv({4, 6, 6}, 8, 3, 1, 1, groups);
    if (groups == 2) conv.bias = kNoConstant;
    ValueId y = b.Add(conv, {x});
    y = b.Add(MakeAffine(b, 8), {y});
    y = b.Add(BinaryConstant{BinaryKind::kMul, b.Random({8, 1, 1}), false}, {y});
    y = b.Add(BinaryConstant{BinaryKind::kSub, b.Random({1}), true}, {y});
    y = b.Add(BinaryConstant{BinaryKind::kAdd, b.Random({}), false}, {y});
    y = b.Add(kRelu, {y});
    EXPECT_THAT(Ops(Optimized(b.Finish({y}))), ElementsAre("Conv+clamp"));
  }
}

TEST(PassesTest, AffinesFoldIntoTransposedConvolutionsAndFullyConnectedLayers) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 5, 5});
  ConvTranspose conv;
  conv.window = {{2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, false};
  conv.weights = b.Random({6, 4, 2, 2});
  ValueId y = b.Add(MakeAffine(b, 6), {b.Add(conv, {x})});
  y = b.Add(GlobalAveragePool{false}, {y});
  y = b.Add(MakeAffine(b, 3), {b.Add(b.MakeFullyConnected(6, 3), {y})});
  EXPECT_THAT(Ops(Optimized(b.Finish({y}))), ElementsAre("ConvTranspose", "GlobalAveragePool", "FullyConnected"));
}

TEST(PassesTest, AnAffineOfAnotherAxisStaysBehindTheFullyConnectedLayer) {
  GraphBuilder b;
  const ValueId x = b.Input({3, 3});
  const ValueId y = b.Add(MakeAffine(b, 3), {b.Add(b.MakeFullyConnected(3, 3), {x})});
  EXPECT_THAT(Ops(Optimized(b.Finish({y}))), ElementsAre("FullyConnected", "ChannelAffine"));
}

TEST(PassesTest, AnAffineStaysWhereItsInputIsReadTwiceOrIsAnOutput) {
  for (const bool second_reader : {true, false}) {
    GraphBuilder b;
    const ValueId x = b.Input({4, 6, 6});
    const ValueId y = b.Add(b.MakeConv({4, 6, 6}, 8, 3, 1, 1), {x});
    const ValueId z = b.Add(MakeAffine(b, 8), {y});
    const ValueId w = b.Add(Unary{UnaryKind::kTanh, 0, 0}, {second_reader ? y : x});
    EXPECT_THAT(Ops(Optimized(b.Finish(second_reader ? std::vector<ValueId>{z, w} : std::vector<ValueId>{z, w, y}))),
                ElementsAre("Conv", "ChannelAffine", "Tanh"));
  }
}

TEST(PassesTest, AnAffineFoldsForwardOnlyWherePaddingDoesNotSeeTheShift) {
  for (const bool padded : {false, true}) {
    for (const bool shifted : {false, true}) {
      GraphBuilder b;
      const ValueId x = b.Input({4, 6, 6});
      ValueId y = b.Add(ChannelAffine{b.Random({4}), shifted ? b.Random({4}) : b.Constant({4}, {0, 0, 0, 0})}, {x});
      y = b.Add(b.MakeConv({4, 6, 6}, 8, 3, 1, padded ? 1 : 0, 2), {y});
      const std::vector<std::string> ops = Ops(Optimized(b.Finish({y})));
      if (padded && shifted) {
        EXPECT_THAT(ops, ElementsAre("ChannelAffine", "Conv"));
      } else {
        EXPECT_THAT(ops, ElementsAre("Conv"));
      }
    }
  }
}

TEST(PassesTest, SharedWeightsAreCopiedBeforeTheyAreScaled) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 6, 6});
  const Conv conv = b.MakeConv({4, 6, 6}, 4, 3, 1, 1);
  const ValueId first = b.Add(MakeAffine(b, 4), {b.Add(conv, {x})});
  const ValueId second = b.Add(MakeAffine(b, 4), {b.Add(conv, {first})});
  const ValueId third = b.Add(conv, {second});
  EXPECT_THAT(Ops(Optimized(b.Finish({third}))), ElementsAre("Conv", "Conv", "Conv"));
}

TEST(PassesTest, PadsBecomeTheWindowsOwn) {
  const Pad pad{{0, 1, 2}, {0, 0, 1}, 0};
  const Window window{{3, 3}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, false};
  GraphBuilder b;
  const ValueId x = b.Input({4, 9, 9});
  const ValueId conv = b.Add(b.MakeConv({4, 10, 12}, 8, 3, 2, 1), {b.Add(pad, {x})});
  const ValueId mean = b.Add(Pool{PoolKind::kAverage, window, false}, {b.Add(pad, {x})});
  const ValueId relu = b.Add(kRelu, {x});
  const ValueId largest = b.Add(Pool{PoolKind::kMax, window, false}, {b.Add(pad, {relu})});
  EXPECT_THAT(Ops(Optimized(b.Finish({conv, mean, largest}))), ElementsAre("Conv", "AveragePool", "Clamp", "MaxPool"));
}

TEST(PassesTest, PadsThatWouldChangeTheResultStay) {
  const Window window{{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, false};
  GraphBuilder b;
  const ValueId x = b.Input({4, 9, 9});
  const ValueId ones = b.Add(b.MakeConv({4, 10, 10}, 8, 3, 2, 1), {b.Add(Pad{{0, 1, 1}, {0, 0, 0}, 1}, {x})});
  const ValueId channels = b.Add(b.MakeConv({5, 9, 9}, 8, 3, 2, 1), {b.Add(Pad{{1, 0, 0}, {0, 0, 0}, 0}, {x})});
  const Pad pad{{0, 1, 1}, {0, 0, 0}, 0};
  const ValueId negative = b.Add(Pool{PoolKind::kMax, window, false}, {b.Add(pad, {x})});
  const ValueId excluded = b.Add(Pool{PoolKind::kAverage, window, false}, {b.Add(pad, {x})});
  EXPECT_THAT(Ops(Optimized(b.Finish({ones, channels, negative, excluded}))),
              ElementsAre("Pad", "Conv", "Pad", "Conv", "Pad", "MaxPool", "Pad", "AveragePool"));
}

TEST(PassesTest, ClampsFuseIntoWhatMakesTheirInputAndIntoEachOther) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 6, 6});
  const ValueId a = b.Add(kRelu, {b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1), {x})});
  const ValueId sum = b.Add(Unary{UnaryKind::kClamp, -0.25f, 0.75f}, {b.Add(Binary{BinaryKind::kMul, {}}, {a, x})});
  const ValueId again = b.Add(Unary{UnaryKind::kClamp, -1, 0.5f}, {sum});
  const ValueId low = b.Add(Unary{UnaryKind::kClamp, 0.8f, 0.9f}, {b.Add(Unary{UnaryKind::kClamp, -1, 0.1f}, {x})});
  const Graph graph = Optimized(b.Finish({again, low}));
  EXPECT_THAT(Ops(graph), ElementsAre("Conv+clamp", "Mul+clamp", "Clamp"));
  EXPECT_EQ(std::get<Binary>(graph.nodes[1].op).clamp, (Clamp{-0.25f, 0.5f}));
}

TEST(PassesTest, AClampBehindPoolingAndFlatteningReachesTheConvolution) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 6, 6});
  ValueId y = b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1), {x});
  y = b.Add(Pool{PoolKind::kMax, {{2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, false}, false}, {y});
  y = b.Add(kRelu, {b.Add(Reshape{{36}}, {y})});
  EXPECT_THAT(Ops(Optimized(b.Finish({y}))), ElementsAre("Conv+clamp", "MaxPool", "Reshape"));
}

TEST(PassesTest, AResidualGoesIntoTheLaterConvolutionThenItsClamp) {
  for (const bool first_operand : {true, false}) {
    GraphBuilder b;
    const ValueId x = b.Input({4, 6, 6});
    const ValueId shortcut = b.Add(b.MakeConv({4, 6, 6}, 8, 1, 1, 0), {x});
    ValueId y = b.Add(kRelu, {b.Add(MakeAffine(b, 8), {b.Add(b.MakeConv({4, 6, 6}, 8, 3, 1, 1), {x})})});
    y = b.Add(MakeAffine(b, 8), {b.Add(b.MakeConv({8, 6, 6}, 8, 3, 1, 1), {y})});
    const std::vector<ValueId> operands = first_operand ? std::vector{y, shortcut} : std::vector{shortcut, y};
    const ValueId sum = b.Add(kRelu, {b.Add(Binary{BinaryKind::kAdd, {}}, operands)});
    const Graph graph = Optimized(b.Finish({sum}));
    EXPECT_THAT(Ops(graph), ElementsAre("Conv", "Conv+clamp", "Conv+residual+clamp"));
    EXPECT_EQ(graph.nodes[2].name, "n4");
  }
}

TEST(PassesTest, AConvolutionMovesBehindItsLaterResidual) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 6, 6});
  const ValueId y = b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1), {x});
  const ValueId z = b.Add(Unary{UnaryKind::kTanh, 0, 0}, {x});
  EXPECT_THAT(Ops(Optimized(b.Finish({b.Add(Binary{BinaryKind::kAdd, {}}, {y, z})}))),
              ElementsAre("Tanh", "Conv+residual"));
}

TEST(PassesTest, ResidualsThatCannotBeFusedStay) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 6, 6});
  const ValueId y = b.Add(kRelu, {b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1), {x})});
  const ValueId clamped = b.Add(Binary{BinaryKind::kAdd, {}}, {x, y});  // the clamp comes first
  const ValueId pixel = b.Add(b.MakeConv({4, 6, 6}, 4, 6, 1, 0), {x});
  const ValueId broadcast = b.Add(Binary{BinaryKind::kAdd, {}}, {x, pixel});  // 4x1x1
  const ValueId z = b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1), {x});
  const ValueId twice = b.Add(Binary{BinaryKind::kAdd, {}}, {z, z});
  EXPECT_THAT(Ops(Optimized(b.Finish({clamped, broadcast, twice}))),
              ElementsAre("Conv+clamp", "Add", "Conv", "Add", "Conv", "Add"));
}

TEST(PassesTest, AChainOfAddsGivesEachConvolutionOneResidual) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 6, 6});
  ValueId sum = x;
  for (int i = 0; i < 3; ++i) {
    const ValueId y = b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1), {sum});
    sum = b.Add(Binary{BinaryKind::kAdd, {}}, {sum, y});
  }
  EXPECT_THAT(Ops(Optimized(b.Finish({sum}))), ElementsAre("Conv+residual", "Conv+residual", "Conv+residual"));
}

TEST(PassesTest, FlattenedMapsGoIntoConvolutionsOverTheWholeMap) {
  GraphBuilder b;
  const ValueId x = b.Input({3, 4, 5});
  ValueId y = b.Add(Reshape{{60}}, {b.Add(Reshape{{3, 20}}, {x})});
  y = b.Add(kRelu, {b.Add(b.MakeFullyConnected(60, 10), {y})});
  y = b.Add(b.MakeFullyConnected(10, 7), {y});
  const Graph graph = Optimized(b.Finish({y}));
  EXPECT_THAT(Ops(graph), ElementsAre("Conv+clamp", "Conv", "Reshape"));
  EXPECT_EQ(graph.constant(std::get<Conv>(graph.nodes[0].op).weights).shape().ToString(), "10x3x4x5");
}

TEST(PassesTest, QuantizedGraphsAreRefused) {
  GraphBuilder b;
  const ValueId x = b.Input({4});
  b.graph().value(x).grid = Grid{};
  Graph graph = b.Finish({b.Add(kRelu, {x})});
  EXPECT_EQ(Optimize(graph).code(), absl::StatusCode::kFailedPrecondition);
}

// Random graphs of everything that the passes look at, with values read once or more and some of them outputs.
TEST(PassesTest, RandomGraphsKeepTheirResults) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto roll = [&](int sides) { return static_cast<int>(random() % static_cast<unsigned>(sides)); };
    GraphBuilder b(seed);
    std::vector<ValueId> maps = {b.Input({4, 6, 6})};
    std::vector<ValueId> outputs;
    for (int i = 0; i < 14; ++i) {
      // Mostly the newest value, so that chains arise.
      const ValueId x = roll(3) != 0 ? maps.back() : maps[static_cast<size_t>(roll(static_cast<int>(maps.size())))];
      const ValueId other = maps[static_cast<size_t>(roll(static_cast<int>(maps.size())))];
      ValueId y = x;
      switch (roll(11)) {
        case 0: y = b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1, roll(2) == 0 ? 1 : 4), {x}); break;
        case 1: y = b.Add(b.MakeConv({4, 6, 6}, 4, 1, 1, 0), {x}); break;
        case 2: y = b.Add(ChannelAffine{b.Random({4}), b.Random({4})}, {x}); break;
        case 3:
          y = b.Add(Unary{UnaryKind::kClamp, roll(2) == 0 ? 0 : -0.5f, roll(2) == 0 ? 0.7f : kInfinity}, {x});
          break;
        case 4: y = b.Add(Binary{roll(4) == 0 ? BinaryKind::kMul : BinaryKind::kAdd, {}}, {x, other}); break;
        case 5:
          y = b.Add(BinaryConstant{static_cast<BinaryKind>(roll(3)), b.Random({4, 1, 1}), roll(2) == 0}, {x});
          break;
        case 6: y = b.Add(b.MakeConv({4, 8, 8}, 4, 3, 1, 0), {b.Add(Pad{{0, 1, 1}, {0, 1, 1}, 0}, {x})}); break;
        case 7: y = b.Add(Pool{PoolKind::kMax, {{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false}, false}, {x}); break;
        case 8: y = b.Add(Unary{UnaryKind::kIdentity, 0, 0}, {x}); break;
        case 9: y = b.Add(Reshape{{4, 6, 6}}, {b.Add(Reshape{{4, 36}}, {x})}); break;
        default:
          y = b.Add(Pool{PoolKind::kAverage, {{3, 3}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false}, false},
                    {b.Add(Pad{{0, 1, 1}, {0, 1, 1}, 0}, {x})});
      }
      if (y != x) maps.push_back(y);
      if (roll(8) == 0 && std::find(outputs.begin(), outputs.end(), y) == outputs.end()) outputs.push_back(y);
    }
    const ValueId flat = b.Add(Reshape{{144}}, {maps.back()});
    outputs.push_back(b.Add(kRelu, {b.Add(b.MakeFullyConnected(144, 3), {flat})}));
    Optimized(b.Finish(outputs));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace bitstage
