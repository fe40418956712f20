#include "engine/reference/float_ops.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::Pointwise;
using Values = std::vector<float>;

// One op on inputs of the given shapes and values.
struct In {
  Shape shape;
  Values values;
};

class Single {
 public:
  template <typename T = float>
  std::vector<T> Run(Op op, const std::vector<In>& inputs) {
    std::vector<ValueId> ids;
    std::vector<const void*> data;
    for (const In& in : inputs) {
      ids.push_back(builder.Input(in.shape));
      data.push_back(in.values.data());
    }
    const ValueId output = builder.Add(std::move(op), ids);
    const Graph graph = builder.Finish({output});
    std::vector<T> result(static_cast<size_t>(graph.value(output).shape.elements()));
    RunFloatOp(graph, graph.nodes[0], data, result.data());
    return result;
  }
  GraphBuilder builder;
};

Values Count(size_t n, float first = 0) {
  Values values(n);
  std::iota(values.begin(), values.end(), first);
  return values;
}

TEST(FloatOpsTest, UnaryFunctions) {
  const In x{{4}, {-4, -0.5f, 0.5f, 4}};
  const auto unary = [&](UnaryKind kind, float alpha = 0, float beta = 0) {
    return Single().Run(Unary{kind, alpha, beta}, {x});
  };
  EXPECT_THAT(unary(UnaryKind::kIdentity), ElementsAre(-4, -0.5f, 0.5f, 4));
  EXPECT_THAT(unary(UnaryKind::kClamp, 0, 3), ElementsAre(0, 0, 0.5f, 3));
  EXPECT_THAT(unary(UnaryKind::kLeakyRelu, 0.25f), ElementsAre(-1, -0.125f, 0.5f, 4));
  EXPECT_THAT(unary(UnaryKind::kHardSigmoid, 0.2f, 0.5f), Pointwise(FloatEq(), Values{0, 0.4f, 0.6f, 1}));
  EXPECT_THAT(unary(UnaryKind::kHardSwish),
              Pointwise(FloatEq(), Values{0, -0.5f * (0.5f - 0.5f / 6), 0.5f * (0.5f + 0.5f / 6), 4}));
  EXPECT_THAT(unary(UnaryKind::kSigmoid),
              Pointwise(FloatNear(1e-6f), Values{0.0179862f, 0.3775407f, 0.6224593f, 0.9820138f}));
  EXPECT_THAT(unary(UnaryKind::kTanh),
              Pointwise(FloatNear(1e-6f), Values{-0.9993293f, -0.4621172f, 0.4621172f, 0.9993293f}));
}

TEST(FloatOpsTest, BinaryBroadcastsAndClamps) {
  const In x{{2, 1, 2}, {1, 2, 3, 4}};
  const In y{{2, 1}, {10, 20}};
  EXPECT_THAT(Single().Run(Binary{BinaryKind::kAdd, {}}, {x, y}), ElementsAre(11, 12, 21, 22, 13, 14, 23, 24));
  EXPECT_THAT(Single().Run(Binary{BinaryKind::kSub, {}}, {y, x}), ElementsAre(9, 8, 19, 18, 7, 6, 17, 16));
  EXPECT_THAT(Single().Run(Binary{BinaryKind::kMul, Clamp{15, 60}}, {x, y}),
              ElementsAre(15, 20, 20, 40, 30, 40, 60, 60));
}

TEST(FloatOpsTest, ConstantsComeFirstOrSecond) {
  for (const bool first : {false, true}) {
    Single run;
    const ConstantId c = run.builder.Constant({2, 1}, {10, 20});
    EXPECT_EQ(run.Run(BinaryConstant{BinaryKind::kSub, c, first}, {{{2, 2}, {1, 2, 3, 4}}}),
              first ? (Values{9, 8, 17, 16}) : (Values{-9, -8, -17, -16}));
  }
}

TEST(FloatOpsTest, ChannelAffineScalesAxisZero) {
  Single run;
  const ConstantId scale = run.builder.Constant({2}, {2, -1});
  const ConstantId shift = run.builder.Constant({2}, {1, 5});
  EXPECT_THAT(run.Run(ChannelAffine{scale, shift}, {{{2, 1, 2}, {1, 2, 3, 4}}}), ElementsAre(3, 5, 2, 1));
}

TEST(FloatOpsTest, MovementOfElements) {
  EXPECT_THAT(Single().Run(Concat{1}, {{{2, 1}, {1, 2}}, {{2, 2}, {3, 4, 5, 6}}}), ElementsAre(1, 3, 4, 2, 5, 6));
  EXPECT_THAT(Single().Run(Reshape{{4}}, {{{2, 2}, {1, 2, 3, 4}}}), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Single().Run(Transpose{{2, 0, 1}}, {{{2, 1, 3}, Count(6)}}), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(Single().Run(Pad{{1, 0}, {0, 1}, 9}, {{{1, 2}, {1, 2}}}), ElementsAre(9, 9, 9, 1, 2, 9));
  EXPECT_THAT(Single().Run(Slice{{1, 0}, {2, 3}, {2, 2}}, {{{4, 4}, Count(16)}}), ElementsAre(4, 7, 12, 15));
}

TEST(FloatOpsTest, MaxPoolIgnoresPaddingAndKeepsThePartialWindowOfCeilMode) {
  Pool pool{PoolKind::kMax, {{3, 3}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, true}, false};
  EXPECT_THAT(Single().Run(pool, {{{1, 4, 4}, Count(16)}}), ElementsAre(10, 11, 14, 15));
  pool.window = {{2, 2}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, false};
  EXPECT_THAT(Single().Run(pool, {{{1, 2, 2}, {-4, -3, -2, -1}}}), ElementsAre(-4, -3, -2, -1));
}

TEST(FloatOpsTest, AveragePoolCountsPaddingOnlyWhenAskedAndNeverBeyondIt) {
  const In x{{1, 1, 4}, {1, 2, 3, 4}};
  Pool pool{PoolKind::kAverage, {{1, 3}, {1, 2}, {1, 1}, {0, 1}, {0, 1}, true}, false};
  // Windows over −1…1, 1…3, 3…5; position 4 is padding, 5 lies beyond it.
  EXPECT_THAT(Single().Run(pool, {x}), ElementsAre(1.5f, 3, 4));
  pool.count_include_pad = true;
  EXPECT_THAT(Single().Run(pool, {x}), ElementsAre(1, 3, 2));
}

TEST(FloatOpsTest, GlobalAveragePoolIsTheMeanOfEachMap) {
  EXPECT_THAT(Single().Run(GlobalAveragePool{true}, {{{2, 2, 2}, Count(8)}}), ElementsAre(1.5f, 5.5f));
}

Resize To(int64_t width, ResizeMode mode, ResizeCoordinates coordinates, int64_t from) {
  Resize resize;
  resize.mode = mode;
  resize.coordinates = coordinates;
  resize.height = 1;
  resize.width = width;
  resize.scale_width = static_cast<float>(width) / static_cast<float>(from);
  return resize;
}

TEST(FloatOpsTest, LinearResizeInEveryCoordinateSystem) {
  const In x{{1, 1, 2}, {0, 8}};
  const auto linear = [&](ResizeCoordinates coordinates, int64_t width) {
    return Single().Run(To(width, ResizeMode::kLinear, coordinates, 2), {x});
  };
  EXPECT_THAT(linear(ResizeCoordinates::kHalfPixel, 4), ElementsAre(0, 2, 6, 8));
  EXPECT_THAT(linear(ResizeCoordinates::kAsymmetric, 4), ElementsAre(0, 4, 8, 8));
  EXPECT_THAT(linear(ResizeCoordinates::kAlignCorners, 5), ElementsAre(0, 2, 4, 6, 8));
  EXPECT_THAT(linear(ResizeCoordinates::kAlignCorners, 1), ElementsAre(0));
  EXPECT_THAT(linear(ResizeCoordinates::kHalfPixel, 1), ElementsAre(4));
  EXPECT_THAT(linear(ResizeCoordinates::kPytorchHalfPixel, 1), ElementsAre(0));
}

TEST(FloatOpsTest, NearestResizeRoundsTiesAsAsked) {
  // Asymmetric coordinates 0, 0.5, 1, 1.5 …
  const auto nearest = [&](ResizeRounding rounding) {
    Resize resize = To(6, ResizeMode::kNearest, ResizeCoordinates::kAsymmetric, 3);
    resize.rounding = rounding;
    return Single().Run(resize, {{{1, 1, 3}, {0, 1, 2}}});
  };
  EXPECT_THAT(nearest(ResizeRounding::kRoundPreferFloor), ElementsAre(0, 0, 1, 1, 2, 2));
  EXPECT_THAT(nearest(ResizeRounding::kRoundPreferCeil), ElementsAre(0, 1, 1, 2, 2, 2));
  EXPECT_THAT(nearest(ResizeRounding::kFloor), ElementsAre(0, 0, 1, 1, 2, 2));
  EXPECT_THAT(nearest(ResizeRounding::kCeil), ElementsAre(0, 1, 1, 2, 2, 2));
  EXPECT_THAT(Single().Run(To(6, ResizeMode::kNearest, ResizeCoordinates::kHalfPixel, 3), {{{1, 1, 3}, {0, 1, 2}}}),
              ElementsAre(0, 0, 1, 1, 2, 2));
}

TEST(FloatOpsTest, ResizeWorksAlongBothAxes) {
  Resize resize = To(4, ResizeMode::kLinear, ResizeCoordinates::kHalfPixel, 2);
  resize.height = 4;
  resize.scale_height = 2;
  EXPECT_THAT(Single().Run(resize, {{{1, 2, 2}, {0, 8, 16, 24}}}),
              ElementsAre(0, 2, 6, 8, 4, 6, 10, 12, 12, 14, 18, 20, 16, 18, 22, 24));
}

TEST(FloatOpsTest, SoftmaxSurvivesLargeInputsAlongAnyAxis) {
  EXPECT_THAT(Single().Run(Softmax{0}, {{{2, 2}, {1000, 0, 1000, std::log(3.0f)}}}),
              Pointwise(FloatNear(1e-6f), Values{0.5f, 0.25f, 0.5f, 0.75f}));
}

TEST(FloatOpsTest, ArgMaxTakesTheFirstOrTheLastOfEqualMaxima) {
  const In x{{3, 2}, {1, 5, 7, 5, 7, 2}};
  EXPECT_THAT(Single().Run<int64_t>(ArgMax{0, true, false}, {x}), ElementsAre(1, 0));
  EXPECT_THAT(Single().Run<int64_t>(ArgMax{0, true, true}, {x}), ElementsAre(2, 1));
  EXPECT_THAT(Single().Run<int64_t>(ArgMax{1, false, false}, {x}), ElementsAre(1, 0, 0));
}

TEST(FloatOpsTest, FakeQuantizeRoundsHalfToEvenAndSaturates) {
  EXPECT_THAT(Single().Run(FakeQuantize{{0.5f}, 2, 0, 5}, {{{6}, {-9, -0.25f, 0.25f, 0.75f, 1, 9}}}),
              ElementsAre(-1, 0, 0, 1, 1, 1.5f));
  EXPECT_THAT(Single().Run(FakeQuantize{{1, 10}, 0, -128, 127}, {{{2, 1}, {16, 16}}}), ElementsAre(16, 20));
}

TEST(FloatOpsTest, SnapToGridIsTheGridsOwnRounding) {
  const Grid grid{2, {0.5f, 1.0f}, {3, 2}, {0, 1}};
  const Values values = {-2, 0.2f, 0.3f, 9, -2, 0.9f, 1.1f, 9};
  Values snapped = values;
  SnapToGrid(grid, {2, 2, 2}, snapped);
  for (size_t i = 0; i < values.size(); ++i) {
    const auto channel = static_cast<int64_t>(i / 4);
    EXPECT_EQ(snapped[i], grid.Real(grid.Code(values[i], channel), channel)) << i;
  }
  EXPECT_THAT(snapped, ElementsAre(-1, 0, 0.5f, 2.5f, -2, 0, 2, 4));
}

}  // namespace
}  // namespace bitstage
