#include "engine/format/onnx_preprocess.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/format/onnx_model_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Shape kPhoto{3, 224, 224};

TEST(OnnxPreprocessTest, FormulasBecomeScaleMeanAndStd) {
  const auto parse = [](const std::string& formula) {
    return ParseOnnxPreprocess(R"json({"color":"RGB","formula":")json" + formula +
                                   R"json(","mean":[0.4,0.5,0.6],"std":[0.1,0.2,0.3]})json",
                               kPhoto)
        .value();
  };
  EXPECT_FLOAT_EQ(parse("(x/255 - mean)/std").scale, 1 / 255.0f);
  EXPECT_THAT(parse("(x/255 - mean)/std").mean, ElementsAre(0.4f, 0.5f, 0.6f));
  EXPECT_THAT(parse("(x/255 - mean)/std").std, ElementsAre(0.1f, 0.2f, 0.3f));
  EXPECT_FLOAT_EQ(parse("x/127.5 - 1").scale, 1 / 127.5f);
  EXPECT_THAT(parse("x/127.5 - 1").mean, ElementsAre(1));
  EXPECT_THAT(parse("(x-128)/128").mean, ElementsAre(128));
  EXPECT_THAT(parse("(x-128)/128").std, ElementsAre(128));
  EXPECT_THAT(parse("x - mean").scale, 1);
  EXPECT_FLOAT_EQ(parse("x*0.00390625").scale, 1 / 256.0f);
  EXPECT_EQ(parse("x (raw 0..255, no scaling)").scale, 1);
  EXPECT_THAT(parse("x (raw 0..255, no scaling)").mean, ElementsAre(0));
}

TEST(OnnxPreprocessTest, GeometryFollowsSizeOrItsSentence) {
  const auto parse = [](const std::string& fields) {
    return ParseOnnxPreprocess(R"({"color":"RGB","formula":"x/255")" + fields + "}", kPhoto).value();
  };
  EXPECT_EQ(parse("").geometry, Geometry::kStretch);
  EXPECT_EQ(parse(R"(,"size":224)").geometry, Geometry::kCenterCrop);
  EXPECT_EQ(parse(R"(,"size":224)").resize_shorter, 256);
  const Preprocessing letterbox = parse(
      R"(,"size":224,"geometry":"resize so that the longer side is 224 (bilinear), paste top-left on a 128-filled 224x224")");
  EXPECT_EQ(letterbox.geometry, Geometry::kLetterbox);
  EXPECT_EQ(letterbox.pad_value, 128);
  EXPECT_EQ(parse(R"json(,"geometry":"centre square crop, resize 224 (Lanczos)")json").geometry, Geometry::kCropSquare);
}

TEST(OnnxPreprocessTest, WhatIsNotUnderstoodNamesItsField) {
  const auto refusal = [](const std::string& json) {
    return std::string(ParseOnnxPreprocess(json, kPhoto).status().message());
  };
  EXPECT_THAT(refusal("{"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal(R"json({"formula":"x"})json"), HasSubstr("field 'color'"));
  EXPECT_THAT(refusal(R"json({"color":"gray","formula":"x"})json"), HasSubstr("gray has 1 channels, the input has 3"));
  EXPECT_THAT(refusal(R"json({"color":"RGB","formula":"log(x)"})json"), HasSubstr("'log(x)' is not understood"));
  EXPECT_THAT(refusal(R"json({"color":"RGB","formula":"x/0"})json"), HasSubstr("field 'formula'"));
  EXPECT_THAT(refusal(R"json({"color":"RGB","formula":"x - mean","mean":[1,2]})json"), HasSubstr("field 'mean'"));
  EXPECT_THAT(refusal(R"json({"color":"RGB","formula":"(x-1)/std","std":[0]})json"), HasSubstr("field 'std'"));
  EXPECT_THAT(refusal(R"json({"color":"RGB","formula":"x","size":96})json"), HasSubstr("field 'size'"));
  EXPECT_THAT(refusal(R"json({"color":"RGB","formula":"x","geometry":"upside down"})json"),
              HasSubstr("field 'geometry'"));
}

TEST(OnnxPreprocessTest, MetadataReachesTheModel) {
  OnnxModelBuilder model(13, {0, 1, 4, 4});
  model.Node("Relu", {"x"}, {"y"});
  model.Metadata("preprocess", R"json({"color":"gray","formula":"x/255"})json");
  model.Metadata("class_offset", "1");
  const absl::StatusOr<Model> imported = model.Import();
  ASSERT_TRUE(imported.ok()) << imported.status();
  ASSERT_TRUE(imported->preprocessing.has_value());
  EXPECT_EQ(imported->preprocessing->color, ColorOrder::kGray);
  EXPECT_EQ(imported->preprocessing->width, 4);
  EXPECT_EQ(imported->class_offset, 1);
  model.Metadata("class_offset", "many");
  EXPECT_THAT(model.Refusal().message(), HasSubstr("class_offset"));
}

}  // namespace
}  // namespace bitstage
