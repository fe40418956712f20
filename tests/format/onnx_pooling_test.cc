#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/format/onnx_model_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(OnnxPoolTest, CeilModeAddsTheWindowThatBeginsInTheImage) {
  for (const auto& [ceil_mode, expected] : {std::pair<int, std::vector<float>>{0, {3}}, {1, {3, 4}}}) {
    OnnxModelBuilder model(10, {0, 1, 1, 4});
    model.Node("MaxPool", {"x"}, {"y"})
        .Ints("kernel_shape", {1, 3})
        .Ints("strides", {1, 2})
        .Int("ceil_mode", ceil_mode);
    EXPECT_EQ(model.Run({1, 2, 3, 4}), expected) << ceil_mode;
  }
}

TEST(OnnxPoolTest, AveragesCountThePaddingOnlyWhereAsked) {
  for (const auto& [include, expected] : {std::pair<int, std::vector<float>>{0, {4, 6}}, {1, {2, 6}}}) {
    OnnxModelBuilder model(11, {0, 1, 1, 3});
    model.Node("AveragePool", {"x"}, {"y"})
        .Ints("kernel_shape", {1, 2})
        .Ints("strides", {1, 2})
        .Ints("pads", {0, 1, 0, 0})
        .Int("count_include_pad", include);
    EXPECT_EQ(model.Run({4, 5, 7}), expected) << include;
  }
}

TEST(OnnxPoolTest, AutoPadSameRoundsUp) {
  OnnxModelBuilder model(12, {0, 1, 1, 5});
  model.Node("MaxPool", {"x"}, {"y"})
      .Ints("kernel_shape", {1, 2})
      .Ints("strides", {1, 2})
      .String("auto_pad", "SAME_UPPER");
  EXPECT_THAT(model.Run({1, 2, 3, 4, 5}), ElementsAre(2, 4, 5));
}

TEST(OnnxPoolTest, IndicesAreNotMade) {
  OnnxModelBuilder model(12, {0, 1, 1, 2});
  model.Node("MaxPool", {"x"}, {"m", "indices"}).Ints("kernel_shape", {1, 2});
  model.Node("Relu", {"indices"}, {"y"}).Name("reader");
  EXPECT_THAT(model.Refusal().message(), HasSubstr("node 'reader' (Relu, opset 12): input 0 ('indices')"));
}

TEST(OnnxPoolTest, KernelShapeIsNeeded) {
  OnnxModelBuilder model(12, {0, 1, 2, 2});
  model.Node("MaxPool", {"x"}, {"y"});
  EXPECT_THAT(model.Refusal().message(), HasSubstr("'kernel_shape' is missing"));
}

TEST(OnnxMeanTest, AxesAreAnAttributeAndLaterAnInput) {
  OnnxModelBuilder attribute(13, {0, 2, 1, 2});
  attribute.Node("ReduceMean", {"x"}, {"y"}).Ints("axes", {-1, 2}).Int("keepdims", 0);
  EXPECT_EQ(attribute.OutputShape(), "2");
  EXPECT_THAT(attribute.Run({1, 3, 10, 20}), ElementsAre(2, 15));
  OnnxModelBuilder input(18, {0, 2, 1, 2});
  input.Ints("axes", {2, 3});
  input.Node("ReduceMean", {"x", "axes"}, {"y"});
  EXPECT_EQ(input.OutputShape(), "2x1x1");
  EXPECT_THAT(input.Run({1, 3, 10, 20}), ElementsAre(2, 15));
}

TEST(OnnxMeanTest, OtherAxesAreRefused) {
  OnnxModelBuilder channels(13, {0, 2, 1, 2});
  channels.Node("ReduceMean", {"x"}, {"y"}).Ints("axes", {1});
  EXPECT_THAT(channels.Refusal().message(), HasSubstr("other axes than height and width"));
  OnnxModelBuilder all(13, {0, 2, 1, 2});
  all.Node("ReduceMean", {"x"}, {"y"});
  EXPECT_THAT(all.Refusal().message(), HasSubstr("other axes than height and width"));
}

TEST(OnnxResizeTest, SizesScalesAndTheirPlacesAcrossOpsets) {
  OnnxModelBuilder upsample(9, {0, 1, 1, 2});
  upsample.Floats("s", {4}, {1, 1, 1, 2});
  upsample.Node("Upsample", {"x", "s"}, {"y"}).String("mode", "nearest");
  EXPECT_THAT(upsample.Run({1, 2}), ElementsAre(1, 1, 2, 2));
  OnnxModelBuilder ten(10, {0, 1, 1, 2});
  ten.Floats("s", {4}, {1, 1, 1, 2});
  ten.Node("Resize", {"x", "s"}, {"y"}).String("mode", "linear");
  EXPECT_THAT(ten.Run({1, 2}), ElementsAre(1, 1.5f, 2, 2));
  OnnxModelBuilder sizes(13, {0, 1, 1, 2});
  sizes.Ints("s", {1, 1, 1, 4});
  sizes.Node("Resize", {"x", "", "", "s"}, {"y"}).String("mode", "linear");
  EXPECT_THAT(sizes.Run({1, 2}), ElementsAre(1, 1.25f, 1.75f, 2));
  OnnxModelBuilder axes(18, {0, 1, 1, 2});
  axes.Floats("s", {1}, {2});
  axes.Node("Resize", {"x", "", "s"}, {"y"}).String("mode", "nearest").Ints("axes", {3});
  EXPECT_THAT(axes.Run({1, 2}), ElementsAre(1, 1, 2, 2));
}

TEST(OnnxResizeTest, AlignCornersKeepsTheEnds) {
  OnnxModelBuilder model(11, {0, 1, 1, 2});
  model.Floats("none", {0}, {});
  model.Ints("s", {1, 1, 1, 3});
  model.Node("Resize", {"x", "none", "none", "s"}, {"y"})
      .String("mode", "linear")
      .String("coordinate_transformation_mode", "align_corners");
  EXPECT_THAT(model.Run({1, 2}), ElementsAre(1, 1.5f, 2));
}

TEST(OnnxResizeTest, WhatIsNotDoneIsRefusedByName) {
  OnnxModelBuilder cubic(13, {0, 1, 2, 2});
  cubic.Ints("s", {1, 1, 4, 4});
  cubic.Node("Resize", {"x", "", "", "s"}, {"y"}).String("mode", "cubic");
  EXPECT_THAT(cubic.Refusal().message(), HasSubstr("attribute 'mode'"));
  OnnxModelBuilder channels(13, {0, 1, 2, 2});
  channels.Ints("s", {1, 2, 4, 4});
  channels.Node("Resize", {"x", "", "", "s"}, {"y"});
  EXPECT_THAT(channels.Refusal().message(), HasSubstr("resizes axis 1"));
}

}  // namespace
}  // namespace bitstage
