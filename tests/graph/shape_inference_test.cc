#include <gmock/gmock.h>

#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;

// The shape that `op` gives to inputs of these shapes, or the message that refuses it.
absl::StatusOr<Shape> ShapeOf(GraphBuilder& b, Op op, const std::vector<Shape>& inputs) {
  Node node{"node", std::move(op), {}, -1};
  for (const Shape& shape : inputs) node.inputs.push_back(b.Input(shape));
  return InferShape(b.graph(), node);
}

absl::StatusOr<Shape> ShapeOf(Op op, const std::vector<Shape>& inputs) {
  GraphBuilder b;
  return ShapeOf(b, std::move(op), inputs);
}

void ExpectShape(const absl::StatusOr<Shape>& found, const Shape& expected) {
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->ToString(), expected.ToString());
}

void ExpectRefused(const absl::StatusOr<Shape>& found, const std::string& part) {
  ASSERT_FALSE(found.ok()) << found->ToString();
  EXPECT_EQ(found.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(found.status().message()), HasSubstr("node 'node'"));
  EXPECT_THAT(std::string(found.status().message()), HasSubstr(part));
}

Pool MaxPool(int64_t kernel, int64_t stride, int64_t padding, bool ceil_mode) {
  return {PoolKind::kMax,
          {{kernel, kernel}, {stride, stride}, {1, 1}, {padding, padding}, {padding, padding}, ceil_mode},
          false};
}

TEST(ShapeInferenceTest, ConvFollowsStrideDilationAndUnevenPadding) {
  GraphBuilder b;
  Conv conv = b.MakeConv({4, 11, 12}, 6, 3, 2, 0, 2);
  conv.window.dilation = {2, 1};
  conv.window.pad_before = {1, 0};
  conv.window.pad_after = {2, 1};
  ExpectShape(ShapeOf(b, conv, {{4, 11, 12}}), {6, 5, 6});
}

TEST(ShapeInferenceTest, ConvRefusesWhatDoesNotFitTogether) {
  GraphBuilder b;
  const Conv conv = b.MakeConv({4, 8, 8}, 6, 3, 1, 1);
  ExpectRefused(ShapeOf(b, conv, {{5, 8, 8}}), "expected O x 5 x 3 x 3");
  ExpectRefused(ShapeOf(b, conv, {{4, 8}}), "expected rank 3");
  ExpectRefused(ShapeOf(b, conv, {{4, 8, 8}, {6, 8, 7}}), "residual");
  ExpectRefused(ShapeOf(b, conv, {}), "0 inputs, expected 1 or 2");
  Conv wrong = conv;
  wrong.groups = 3;
  ExpectRefused(ShapeOf(b, wrong, {{4, 8, 8}}), "3 groups of 4 input channels");
  wrong = b.MakeConv({4, 8, 8}, 7, 3, 1, 1, 2);
  ExpectRefused(ShapeOf(b, wrong, {{4, 8, 8}}), "2 groups of 7 output channels");
  wrong = conv;
  wrong.window.stride[1] = 0;
  ExpectRefused(ShapeOf(b, wrong, {{4, 8, 8}}), "stride along the width is 0");
  wrong = conv;
  wrong.window.pad_before[0] = -1;
  ExpectRefused(ShapeOf(b, wrong, {{4, 8, 8}}), "padding before along the height is -1");
  wrong = conv;
  wrong.window.dilation = {9, 9};
  ExpectRefused(ShapeOf(b, wrong, {{4, 8, 8}}), "spans 19 positions");
  wrong = conv;
  wrong.weights = 99;
  ExpectRefused(ShapeOf(b, wrong, {{4, 8, 8}}), "weights is constant 99 of");
  wrong = conv;
  wrong.bias = b.Random({7});
  ExpectRefused(ShapeOf(b, wrong, {{4, 8, 8}}), "bias");
  wrong = conv;
  wrong.clamp = Clamp{1, 0};
  ExpectRefused(ShapeOf(b, wrong, {{4, 8, 8}}), "clamp from 1 to 0");
}

TEST(ShapeInferenceTest, ConvTransposeInvertsConv) {
  GraphBuilder b;
  ConvTranspose conv;
  conv.window = {{4, 4}, {2, 2}, {1, 1}, {1, 1}, {1, 1}, false};
  conv.weights = b.Random({5, 3, 4, 4});
  ExpectShape(ShapeOf(b, conv, {{3, 7, 9}}), {5, 14, 18});
  conv.output_padding = {1, 0};
  ExpectShape(ShapeOf(b, conv, {{3, 7, 9}}), {5, 15, 18});
  conv.output_padding = {2, 0};
  ExpectRefused(ShapeOf(b, conv, {{3, 7, 9}}), "output_padding along the height is 2");
  conv.output_padding = {0, 0};
  conv.window.pad_before = {9, 9};
  ExpectRefused(ShapeOf(b, conv, {{3, 1, 1}}), "leaves");
}

TEST(ShapeInferenceTest, CeilModeKeepsAPartialWindowButNoneThatStartsInThePadding) {
  ExpectShape(ShapeOf(MaxPool(3, 2, 0, false), {{8, 112, 112}}), {8, 55, 55});
  ExpectShape(ShapeOf(MaxPool(3, 2, 0, true), {{8, 112, 112}}), {8, 56, 56});
  ExpectShape(ShapeOf(MaxPool(2, 2, 1, true), {{8, 3, 3}}), {8, 2, 2});  // a third window would start at 3
}

TEST(ShapeInferenceTest, PoolingWindowsWithoutPixelsAreRefused) {
  ExpectRefused(ShapeOf(MaxPool(2, 1, 2, false), {{1, 4, 4}}), "padding before along the height is 2, expected 0 to 1");
  Pool dilated = MaxPool(2, 1, 1, false);
  dilated.window.dilation = {2, 2};
  ExpectRefused(ShapeOf(dilated, {{1, 1, 1}}), "holds no pixel");
  ExpectShape(ShapeOf(dilated, {{1, 2, 2}}), {1, 2, 2});
}

TEST(ShapeInferenceTest, FullyConnectedActsOnTheLastAxis) {
  GraphBuilder b;
  const FullyConnected fc = b.MakeFullyConnected(8, 5);
  ExpectShape(ShapeOf(b, fc, {{8}}), {5});
  ExpectShape(ShapeOf(b, fc, {{3, 8}}), {3, 5});
  ExpectRefused(ShapeOf(b, fc, {{8, 3}}), "expected O x 3");
}

TEST(ShapeInferenceTest, BinaryBroadcastsAsNumpyDoes) {
  ExpectShape(ShapeOf(Binary{}, {{4, 5, 6}, {4, 1, 1}}), {4, 5, 6});
  ExpectShape(ShapeOf(Binary{}, {{5, 1}, {4, 1, 6}}), {4, 5, 6});
  ExpectShape(ShapeOf(Binary{}, {{4, 5}, {}}), {4, 5});
  ExpectRefused(ShapeOf(Binary{}, {{4, 5}, {4, 6}}), "4x5 and 4x6 do not broadcast");
  GraphBuilder b;
  const BinaryConstant wider{BinaryKind::kAdd, b.Random({2, 4}), false};
  ExpectRefused(ShapeOf(b, wider, {{4}}), "does not broadcast to the input's shape 4");
}

TEST(ShapeInferenceTest, MovementOfElements) {
  ExpectShape(ShapeOf(Concat{0}, {{2, 3, 3}, {5, 3, 3}}), {7, 3, 3});
  ExpectRefused(ShapeOf(Concat{0}, {{2, 3, 3}, {5, 3, 4}}), "does not fit");
  ExpectRefused(ShapeOf(Concat{0}, {{2, 3, 3}, {5}}), "does not fit");
  ExpectRefused(ShapeOf(Concat{3}, {{2, 3, 3}}), "axis 3");
  ExpectShape(ShapeOf(Reshape{{6}}, {{2, 3}}), {6});
  ExpectRefused(ShapeOf(Reshape{{7}}, {{2, 3}}), "cannot reshape 2x3 to 7");
  ExpectShape(ShapeOf(Transpose{{2, 0, 1}}, {{2, 3, 4}}), {4, 2, 3});
  ExpectRefused(ShapeOf(Transpose{{0, 0, 1}}, {{2, 3, 4}}), "names axis 0 twice");
  ExpectRefused(ShapeOf(Transpose{{0, 1}}, {{2, 3, 4}}), "permutation has 2 entries, expected 3");
  ExpectShape(ShapeOf(Pad{{0, 1}, {2, 0}, 0}, {{2, 3}}), {4, 4});
  ExpectRefused(ShapeOf(Pad{{0, -1}, {2, 0}, 0}, {{2, 3}}), "padding of axis 1 by -1");
  ExpectShape(ShapeOf(Slice{{1}, {3}, {3}}, {{8}}), {3});
  ExpectRefused(ShapeOf(Slice{{2}, {3}, {3}}, {{8}}), "takes 3 from 2 in steps of 3");
  ExpectRefused(ShapeOf(Slice{{0}, {int64_t{1} << 62}, {3}}, {{8}}), "takes 3 from 0");
}

TEST(ShapeInferenceTest, ReductionsAndResize) {
  ExpectShape(ShapeOf(GlobalAveragePool{true}, {{8, 5, 5}}), {8, 1, 1});
  ExpectShape(ShapeOf(GlobalAveragePool{false}, {{8, 5, 5}}), {8});
  ExpectShape(ShapeOf(ArgMax{0, true, false}, {{8, 5, 5}}), {1, 5, 5});
  ExpectShape(ShapeOf(ArgMax{0, false, false}, {{8}}), {});
  Resize resize;
  resize.height = 10;
  resize.width = 12;
  resize.scale_height = 2;
  ExpectShape(ShapeOf(resize, {{8, 5, 6}}), {8, 10, 12});
  resize.scale_width = 0;
  ExpectRefused(ShapeOf(resize, {{8, 5, 6}}), "scale 0");
  resize.scale_width = 1;
  resize.width = int64_t{1} << 40;
  ExpectRefused(ShapeOf(resize, {{8, 5, 6}}), "elements");
}

TEST(ShapeInferenceTest, MacsCountEveryMultiplication) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 8, 8});
  b.Add(b.MakeConv({4, 8, 8}, 6, 3, 2, 1, 2), {x});
  EXPECT_EQ(MacsOf(b.graph(), b.graph().nodes.back()), 6 * 4 * 4 * 2 * 9);
  ConvTranspose transposed;
  transposed.window.kernel = {2, 2};
  transposed.window.stride = {2, 2};
  transposed.weights = b.Random({3, 4, 2, 2});
  b.Add(transposed, {x});
  EXPECT_EQ(MacsOf(b.graph(), b.graph().nodes.back()), 4 * 8 * 8 * 3 * 4);
  b.Add(b.MakeFullyConnected(8, 5), {x});
  EXPECT_EQ(MacsOf(b.graph(), b.graph().nodes.back()), 4 * 8 * 8 * 5);
  b.Add(Unary{UnaryKind::kTanh, 0, 0}, {x});
  EXPECT_EQ(MacsOf(b.graph(), b.graph().nodes.back()), 0);
}

}  // namespace
}  // namespace bitstage
