#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/format/onnx_model_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(OnnxReshapeTest, ZerosCopyAndMinusOneFills) {
  OnnxModelBuilder model(13, {0, 2, 3, 4});
  model.Ints("s", {0, 0, -1});
  model.Node("Reshape", {"x", "s"}, {"y"});
  EXPECT_EQ(model.OutputShape(), "2x12");
}

TEST(OnnxReshapeTest, FixedBatchStaysInFront) {
  OnnxModelBuilder model(13, {8, 2, 3});
  model.Ints("s", {8, 6});
  model.Node("Reshape", {"x", "s"}, {"y"});
  EXPECT_EQ(model.OutputShape(), "6");
}

TEST(OnnxReshapeTest, MixingImagesIsRefused) {
  OnnxModelBuilder model(13, {8, 2, 3});
  model.Ints("s", {4, 12});
  model.Node("Reshape", {"x", "s"}, {"y"});
  EXPECT_EQ(model.Refusal().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(model.Refusal().message(), HasSubstr("the first axis must stay the batch of 8"));
}

TEST(OnnxReshapeTest, WrongSizesAreRefused) {
  OnnxModelBuilder model(13, {0, 5});
  model.Ints("s", {0, -1, 2});
  model.Node("Reshape", {"x", "s"}, {"y"});
  EXPECT_EQ(model.Refusal().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(model.Refusal().message(), HasSubstr("cannot turn 1x5 into 1x2x2"));
}

TEST(OnnxSqueezeTest, AxesAreAnAttributeAndLaterAnInput) {
  OnnxModelBuilder eleven(11, {0, 3, 1, 1});
  eleven.Node("Squeeze", {"x"}, {"s"}).Ints("axes", {-1, 2});
  eleven.Node("Unsqueeze", {"s"}, {"y"}).Ints("axes", {1});
  EXPECT_EQ(eleven.OutputShape(), "1x3");
  OnnxModelBuilder thirteen(13, {0, 3, 1, 1});
  thirteen.Ints("a", {3});
  thirteen.Ints("b", {-1});
  thirteen.Node("Squeeze", {"x", "a"}, {"s"});
  thirteen.Node("Unsqueeze", {"s", "b"}, {"y"});
  EXPECT_EQ(thirteen.OutputShape(), "3x1x1");
}

TEST(OnnxSqueezeTest, WithoutAxesKeepsTheBatch) {
  OnnxModelBuilder model(13, {0, 3, 1, 1});
  model.Node("Squeeze", {"x"}, {"y"});
  EXPECT_EQ(model.OutputShape(), "3");
}

TEST(OnnxTransposeTest, KeepsTheBatchInFront) {
  OnnxModelBuilder model(13, {0, 2, 1, 2});
  model.Node("Transpose", {"x"}, {"y"}).Ints("perm", {0, 2, 3, 1});
  EXPECT_THAT(model.Run({1, 2, 3, 4}), ElementsAre(1, 3, 2, 4));
  OnnxModelBuilder moved(13, {0, 2});
  moved.Node("Transpose", {"x"}, {"y"});
  EXPECT_THAT(moved.Refusal().message(), HasSubstr("moves the batch axis"));
}

TEST(OnnxPadTest, AttributesInputsAndAxes) {
  OnnxModelBuilder nine(9, {0, 1, 1, 2});
  nine.Node("Pad", {"x"}, {"y"}).Ints("pads", {0, 0, 0, 1, 0, 0, 0, 2}).Float("value", 9);
  EXPECT_THAT(nine.Run({1, 2}), ElementsAre(9, 1, 2, 9, 9));
  OnnxModelBuilder eleven(11, {0, 1, 1, 2});
  eleven.Ints("p", {0, 0, 0, 1, 0, 0, 0, 0});
  eleven.Node("Pad", {"x", "p"}, {"y"}).String("mode", "constant");
  EXPECT_THAT(eleven.Run({1, 2}), ElementsAre(0, 1, 2));
  OnnxModelBuilder eighteen(18, {0, 1, 1, 2});
  eighteen.Ints("p", {1, 0});
  eighteen.Ints("a", {-1});
  eighteen.Node("Pad", {"x", "p", "", "a"}, {"y"});
  EXPECT_THAT(eighteen.Run({1, 2}), ElementsAre(0, 1, 2));
}

TEST(OnnxPadTest, ReflectionCropsAndBatchAreRefused) {
  OnnxModelBuilder reflect(11, {0, 2});
  reflect.Ints("p", {0, 1, 0, 1});
  reflect.Node("Pad", {"x", "p"}, {"y"}).String("mode", "reflect");
  EXPECT_THAT(reflect.Refusal().message(), HasSubstr("'mode'"));
  OnnxModelBuilder crop(11, {0, 2});
  crop.Ints("p", {0, -1, 0, 0});
  crop.Node("Pad", {"x", "p"}, {"y"});
  EXPECT_THAT(crop.Refusal().message(), HasSubstr("crops"));
  OnnxModelBuilder batch(11, {0, 2});
  batch.Ints("p", {1, 0, 0, 0});
  batch.Node("Pad", {"x", "p"}, {"y"});
  EXPECT_THAT(batch.Refusal().message(), HasSubstr("pads the batch axis"));
}

TEST(OnnxSliceTest, AttributesAndInputs) {
  OnnxModelBuilder nine(9, {0, 5});
  nine.Node("Slice", {"x"}, {"y"}).Ints("starts", {-3}).Ints("ends", {1000}).Ints("axes", {1});
  EXPECT_THAT(nine.Run({1, 2, 3, 4, 5}), ElementsAre(3, 4, 5));
  OnnxModelBuilder thirteen(13, {0, 5});
  thirteen.Ints("s", {1});
  thirteen.Ints("e", {INT64_MAX});
  thirteen.Ints("a", {1});
  thirteen.Ints("t", {2});
  thirteen.Node("Slice", {"x", "s", "e", "a", "t"}, {"y"});
  EXPECT_THAT(thirteen.Run({1, 2, 3, 4, 5}), ElementsAre(2, 4));
}

TEST(OnnxSliceTest, BackwardsAndBatchAndEmptyAreRefused) {
  const auto refusal = [](int64_t start, int64_t end, int64_t axis, int64_t step) {
    OnnxModelBuilder model(13, {2, 5});
    model.Ints("s", {start});
    model.Ints("e", {end});
    model.Ints("a", {axis});
    model.Ints("t", {step});
    model.Node("Slice", {"x", "s", "e", "a", "t"}, {"y"});
    return std::string(model.Refusal().message());
  };
  EXPECT_THAT(refusal(4, 0, 1, -1), HasSubstr("steps backwards"));
  EXPECT_THAT(refusal(0, 1, 0, 1), HasSubstr("slices the batch axis"));
  EXPECT_THAT(refusal(3, 3, 1, 1), HasSubstr("takes 0 from"));
  EXPECT_THAT(refusal(0, 3, 1, 0), HasSubstr("is 0"));
  // One element, whatever the step.
  EXPECT_EQ(refusal(INT64_MAX, INT64_MIN, 1, INT64_MIN), "");
}

TEST(OnnxSplitTest, PartsFromAttributeInputOrCount) {
  const auto run = [](OnnxModelBuilder& model) {
    model.Node("Concat", {"b", "a"}, {"y"}).Int("axis", -1);
    return model.Run({1, 2, 3});
  };
  OnnxModelBuilder eleven(11, {0, 3});
  eleven.Node("Split", {"x"}, {"a", "b"}).Int("axis", 1).Ints("split", {1, 2});
  EXPECT_THAT(run(eleven), ElementsAre(2, 3, 1));
  OnnxModelBuilder thirteen(13, {0, 3});
  thirteen.Ints("s", {2, 1});
  thirteen.Node("Split", {"x", "s"}, {"a", "b"}).Int("axis", 1);
  EXPECT_THAT(run(thirteen), ElementsAre(3, 1, 2));
  OnnxModelBuilder eighteen(18, {0, 3});
  eighteen.Node("Split", {"x"}, {"a", "b"}).Int("axis", 1).Int("num_outputs", 2);
  EXPECT_THAT(run(eighteen), ElementsAre(3, 1, 2));
}

TEST(OnnxConcatTest, AlongTheBatchIsRefused) {
  OnnxModelBuilder model(13, {0, 3});
  model.Node("Concat", {"x", "x"}, {"y"}).Int("axis", 0);
  EXPECT_THAT(model.Refusal().message(), HasSubstr("batch axis"));
}

TEST(OnnxIdentityTest, OutputsKeepTheirNames) {
  OnnxModelBuilder model(13, {0, 3});
  model.Node("Relu", {"x"}, {"r"});
  model.Node("Dropout", {"r"}, {"d"});
  model.Node("Identity", {"d"}, {"y"});
  const absl::StatusOr<Model> imported = model.Import();
  ASSERT_TRUE(imported.ok()) << imported.status();
  EXPECT_EQ(imported->graph.nodes.size(), 1u);
  EXPECT_EQ(imported->graph.value(imported->graph.outputs[0]).name, "y");
}

}  // namespace
}  // namespace bitstage
