#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/format/onnx_model_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

TEST(OnnxConvTest, PadsAreTopLeftBottomRight) {
  OnnxModelBuilder model(11, {0, 1, 2, 2});
  model.Floats("w", {1, 1, 2, 2}, {1, 10, 100, 1000});
  model.Floats("b", {1}, {0.5f});
  model.Node("Conv", {"x", "w", "b"}, {"y"}).Ints("pads", {1, 0, 0, 1});
  EXPECT_EQ(model.OutputShape(), "1x2x2");
  EXPECT_THAT(model.Run({1, 2, 3, 4}), ElementsAre(2100.5f, 200.5f, 4321.5f, 402.5f));
}

TEST(OnnxConvTest, AutoPadUpperPutsTheOddRowLast) {
  for (const auto& [auto_pad, expected] : {std::pair<std::string, std::vector<float>>{"SAME_UPPER", {21, 32, 43, 4}},
                                           {"SAME_LOWER", {10, 21, 32, 43}},
                                           {"VALID", {21, 32, 43}}}) {
    OnnxModelBuilder model(11, {0, 1, 1, 4});
    model.Floats("w", {1, 1, 1, 2}, {1, 10});
    model.Node("Conv", {"x", "w"}, {"y"}).String("auto_pad", auto_pad);
    EXPECT_EQ(model.Run({1, 2, 3, 4}), expected) << auto_pad;
  }
}

TEST(OnnxConvTest, GroupsSeeTheirOwnChannels) {
  OnnxModelBuilder model(13, {0, 4, 1, 1});
  model.Floats("w", {2, 2, 1, 1}, {1, 10, 100, 1000});
  model.Node("Conv", {"x", "w"}, {"y"}).Int("group", 2);
  EXPECT_THAT(model.Run({1, 2, 3, 4}), ElementsAre(21, 4300));
}

TEST(OnnxConvTest, WeightsThatAreComputedAreRefusedByName) {
  OnnxModelBuilder model(13, {0, 1, 1, 1});
  model.Node("Conv", {"x", "x"}, {"y"}).Name("dynamic");
  EXPECT_EQ(model.Refusal().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(model.Refusal().message(), HasSubstr("node 'dynamic' (Conv, opset 13): input 1 ('x')"));
}

TEST(OnnxConvTest, OneDimensionalConvolutionIsRefused) {
  OnnxModelBuilder model(13, {0, 1, 8});
  model.Floats("w", {1, 1, 3}, {1, 1, 1});
  model.Node("Conv", {"x", "w"}, {"y"});
  EXPECT_THAT(model.Refusal().message(), HasSubstr("has shape 1x1x8, expected rank 4"));
}

TEST(OnnxConvTest, HugeStridesAreRefused) {
  OnnxModelBuilder model(13, {0, 1, 4, 4});
  model.Floats("w", {1, 1, 1, 1}, {1});
  model.Node("Conv", {"x", "w"}, {"y"}).Ints("strides", {1, int64_t{1} << 62});
  EXPECT_EQ(model.Refusal().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(model.Refusal().message(), HasSubstr("attribute 'strides'"));
}

TEST(OnnxConvTransposeTest, WeightsComeInputChannelFirst) {
  OnnxModelBuilder model(11, {0, 2, 1, 1});
  model.Floats("w", {2, 3, 1, 1}, {1, 2, 3, 10, 20, 30});
  model.Floats("b", {3}, {0, 0, 1000});
  model.Node("ConvTranspose", {"x", "w", "b"}, {"y"});
  EXPECT_THAT(model.Run({1, 100}), ElementsAre(1001, 2002, 4003));
}

TEST(OnnxConvTransposeTest, GroupsKeepTheirWeights) {
  OnnxModelBuilder model(11, {0, 2, 1, 1});
  model.Floats("w", {2, 2, 1, 1}, {1, 2, 3, 4});
  model.Node("ConvTranspose", {"x", "w"}, {"y"}).Int("group", 2);
  EXPECT_THAT(model.Run({10, 100}), ElementsAre(10, 20, 300, 400));
}

TEST(OnnxConvTransposeTest, StrideSpreadsAndOutputPaddingExtends) {
  OnnxModelBuilder model(11, {0, 1, 1, 2});
  model.Floats("w", {1, 1, 1, 2}, {1, 10});
  model.Node("ConvTranspose", {"x", "w"}, {"y"}).Ints("strides", {1, 3}).Ints("output_padding", {0, 1});
  EXPECT_THAT(model.Run({1, 2}), ElementsAre(1, 10, 0, 2, 20, 0));
}

TEST(OnnxConvTransposeTest, AutoPadAndOutputShapeStateTheExtents) {
  OnnxModelBuilder same(11, {0, 1, 4, 5});
  same.Floats("w", {1, 1, 3, 3}, Counting(9));
  same.Node("ConvTranspose", {"x", "w"}, {"y"}).Ints("strides", {2, 2}).String("auto_pad", "SAME_UPPER");
  EXPECT_EQ(same.OutputShape(), "1x8x10");
  OnnxModelBuilder shape(11, {0, 1, 4, 5});
  shape.Floats("w", {1, 1, 3, 3}, Counting(9));
  shape.Node("ConvTranspose", {"x", "w"}, {"y"}).Ints("strides", {2, 2}).Ints("output_shape", {7, 10});
  EXPECT_EQ(shape.OutputShape(), "1x7x10");
}

TEST(OnnxGemmTest, AlphaBetaAndTransposition) {
  OnnxModelBuilder model(13, {0, 2});
  model.Floats("w", {3, 2}, {1, 2, 3, 4, 5, 6});
  model.Floats("b", {1, 3}, {100, 200, 300});
  model.Node("Gemm", {"x", "w", "b"}, {"y"}).Int("transB", 1).Float("alpha", 2).Float("beta", 0.5f);
  EXPECT_THAT(model.Run({1, 10}), ElementsAre(2 * 21 + 50, 2 * 43 + 100, 2 * 65 + 150));
}

TEST(OnnxGemmTest, UntransposedWeightsAndOneBiasForAll) {
  OnnxModelBuilder model(9, {0, 2});
  model.Floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
  model.Floats("b", {}, {0.5f});
  model.Node("Gemm", {"x", "w", "b"}, {"y"});
  EXPECT_THAT(model.Run({1, 10}), ElementsAre(41.5f, 52.5f, 63.5f));
}

TEST(OnnxGemmTest, TransposedInputMixesImages) {
  OnnxModelBuilder model(13, {0, 1});
  model.Floats("w", {1, 1}, {1});
  model.Node("Gemm", {"x", "w"}, {"y"}).Int("transA", 1);
  EXPECT_THAT(model.Refusal().message(), HasSubstr("'transA'"));
}

TEST(OnnxMatMulTest, EitherSideMayBeTheConstant) {
  OnnxModelBuilder right(13, {0, 2, 2});
  right.Floats("w", {2, 1}, {1, 10});
  right.Node("MatMul", {"x", "w"}, {"y"});
  EXPECT_THAT(right.Run({1, 2, 3, 4}), ElementsAre(21, 43));
  OnnxModelBuilder left(13, {0, 2, 2});
  left.Floats("w", {1, 2}, {1, 10});
  left.Node("MatMul", {"w", "x"}, {"y"});
  EXPECT_THAT(left.Run({1, 2, 3, 4}), ElementsAre(31, 42));
  EXPECT_EQ(left.OutputShape(), "1x2");
}

TEST(OnnxMatMulTest, ProductAlongTheBatchIsRefused) {
  OnnxModelBuilder model(13, {0, 2});
  model.Floats("w", {1, 1}, {1});
  model.Node("MatMul", {"w", "x"}, {"y"});
  EXPECT_THAT(model.Refusal().message(), HasSubstr("mixes images"));
}

TEST(OnnxBatchNormalizationTest, BecomesScaleAndShiftByChannel) {
  OnnxModelBuilder model(15, {0, 2, 1, 1});
  model.Floats("gamma", {2}, {2, 3});
  model.Floats("beta", {2}, {10, 20});
  model.Floats("mean", {2}, {1, 2});
  model.Floats("variance", {2}, {3, 8});
  model.Node("BatchNormalization", {"x", "gamma", "beta", "mean", "variance"}, {"y"}).Float("epsilon", 1);
  EXPECT_THAT(model.Run({5, 8}), Pointwise(FloatNear(1e-5f), {10 + 2 * (5 - 1) / 2.0f, 20 + 3 * (8 - 2) / 3.0f}));
}

TEST(OnnxBatchNormalizationTest, NegativeVarianceIsRefused) {
  OnnxModelBuilder model(9, {0, 1, 1, 1});
  for (const char* name : {"gamma", "beta", "mean"}) model.Floats(name, {1}, {1});
  model.Floats("variance", {1}, {-2});
  model.Node("BatchNormalization", {"x", "gamma", "beta", "mean", "variance"}, {"y"});
  EXPECT_THAT(model.Refusal().message(), HasSubstr("channel 0 has variance -2"));
}

}  // namespace
}  // namespace bitstage
