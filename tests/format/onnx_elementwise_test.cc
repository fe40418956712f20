#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/format/onnx_model_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

TEST(OnnxClipTest, BoundsAreAttributesAndLaterInputs) {
  OnnxModelBuilder nine(9, {0, 3});
  nine.Node("Clip", {"x"}, {"y"}).Float("min", 0).Float("max", 6);
  EXPECT_THAT(nine.Run({-1, 3, 9}), ElementsAre(0, 3, 6));
  OnnxModelBuilder eleven(11, {0, 3});
  eleven.Floats("high", {}, {6});
  eleven.Node("Clip", {"x", "", "high"}, {"y"});
  EXPECT_THAT(eleven.Run({-1, 3, 9}), ElementsAre(-1, 3, 6));
}

TEST(OnnxClipTest, AttributesOfAnotherOpsetAreRefused) {
  OnnxModelBuilder model(13, {0, 3});
  model.Node("Clip", {"x"}, {"y"}).Float("min", 0);
  EXPECT_THAT(model.Refusal().message(), HasSubstr("attribute 'min' is not supported here"));
}

TEST(OnnxUnaryTest, DefaultsAreThoseOfOnnx) {
  const std::vector<float> x = {-1, 0, 2};
  const std::vector<std::pair<std::string, std::vector<float>>> expected = {{"Relu", {0, 0, 2}},
                                                                            {"LeakyRelu", {-0.01f, 0, 2}},
                                                                            {"Sigmoid", {0.26894142f, 0.5f, 0.880797f}},
                                                                            {"HardSigmoid", {0.3f, 0.5f, 0.9f}},
                                                                            {"HardSwish", {-1 / 3.0f, 0, 5 / 3.0f}},
                                                                            {"Tanh", {-0.7615942f, 0, 0.9640276f}}};
  for (const auto& [op, y] : expected) {
    OnnxModelBuilder model(14, {0, 3});
    model.Node(op, {"x"}, {"y"});
    EXPECT_THAT(model.Run(x), Pointwise(FloatNear(1e-6f), y)) << op;
  }
}

TEST(OnnxArithmeticTest, ConstantsOnEitherSide) {
  const std::vector<std::pair<std::string, std::vector<float>>> right = {
      {"Add", {3, 8}}, {"Sub", {-1, 0}}, {"Mul", {2, 16}}, {"Div", {0.5f, 1}}};
  for (const auto& [op, y] : right) {
    OnnxModelBuilder model(13, {0, 2});
    model.Floats("c", {2}, {2, 4});
    model.Node(op, {"x", "c"}, {"y"});
    EXPECT_EQ(model.Run({1, 4}), y) << op;
  }
  OnnxModelBuilder left(13, {0, 2});
  left.Floats("c", {2}, {2, 4});
  left.Node("Sub", {"c", "x"}, {"y"});
  EXPECT_THAT(left.Run({1, 4}), ElementsAre(1, 0));
}

TEST(OnnxArithmeticTest, ConstantsBroadcastWithoutTheBatchAxis) {
  for (const std::vector<int64_t>& dims : {std::vector<int64_t>{2, 1, 1}, {1, 2, 1, 1}}) {
    OnnxModelBuilder model(13, {0, 2, 1, 2});
    model.Floats("c", dims, {10, 20});
    model.Node("Add", {"x", "c"}, {"y"});
    EXPECT_THAT(model.Run({1, 2, 3, 4}), ElementsAre(11, 12, 23, 24));
  }
}

TEST(OnnxArithmeticTest, ConstantsThatDifferBetweenImagesAreRefused) {
  OnnxModelBuilder model(13, {2, 1});
  model.Floats("c", {2, 1}, {1, 2});
  model.Node("Add", {"x", "c"}, {"y"});
  EXPECT_THAT(model.Refusal().message(), HasSubstr("differs between images"));
}

TEST(OnnxArithmeticTest, ActivationsOfDifferentRanksAlignTheBatchAndAreRefused) {
  OnnxModelBuilder model(13, {0, 3, 1, 1});
  model.Node("Flatten", {"x"}, {"f"});
  model.Node("Add", {"x", "f"}, {"y"});
  EXPECT_THAT(model.Refusal().message(), HasSubstr("align the batch with another axis"));
}

TEST(OnnxArithmeticTest, GatesBroadcastOverTheImage) {
  OnnxModelBuilder model(13, {0, 2, 1, 2});
  model.Node("GlobalAveragePool", {"x"}, {"g"});
  model.Node("Mul", {"x", "g"}, {"y"});
  EXPECT_THAT(model.Run({1, 3, 10, 30}), ElementsAre(2, 6, 200, 600));
}

TEST(OnnxSoftmaxTest, OldOpsetsFlattenFromTheAxisOn) {
  OnnxModelBuilder vector(11, {0, 2, 1, 1});
  vector.Node("Softmax", {"x"}, {"y"});
  EXPECT_THAT(vector.Run({0, 0}), ElementsAre(0.5f, 0.5f));
  OnnxModelBuilder map(11, {0, 2, 2, 1});
  map.Node("Softmax", {"x"}, {"y"});
  EXPECT_THAT(map.Refusal().message(), HasSubstr("normalizes over all axes from 1 on"));
  OnnxModelBuilder later(13, {0, 2, 2, 1});
  later.Node("Softmax", {"x"}, {"y"}).Int("axis", 1);
  EXPECT_THAT(later.Run({0, 0, 0, 0}), ElementsAre(0.5f, 0.5f, 0.5f, 0.5f));
}

TEST(OnnxArgMaxTest, FirstOrLastOfEqualMaxima) {
  for (const auto& [last, index] : {std::pair<int, float>{0, 1}, {1, 2}}) {
    OnnxModelBuilder model(12, {0, 3, 1, 1});
    model.Node("ArgMax", {"x"}, {"y"}).Int("axis", 1).Int("keepdims", 0).Int("select_last_index", last);
    EXPECT_THAT(model.Run({1, 5, 5}), ElementsAre(index));
    EXPECT_EQ(model.OutputShape(), "1x1");
  }
}

TEST(OnnxArgMaxTest, OverTheBatchIsRefused) {
  OnnxModelBuilder model(12, {0, 3});
  model.Node("ArgMax", {"x"}, {"y"});
  EXPECT_THAT(model.Refusal().message(), HasSubstr("batch axis"));
}

}  // namespace
}  // namespace bitstage
