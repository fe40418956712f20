// Answers that are maps, held against label maps: by hand, and through the verbs that do it.
#include "engine/tools/map_measure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/format/model_file.h"
#include "tests/data/temp_folder.h"
#include "tests/graph/graph_builder.h"
#include "tests/image/samples.h"
#include "tests/tools/call.h"

namespace bitstage {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Says for every pixel which k of 0 … 2 it is nearest to, over 100: 2kx − k² is largest there. `stride` leaves out
// some.
Model NearestHundred(int64_t stride = 1) {
  GraphBuilder build;
  const ValueId x = build.Input({1, 2, 4});
  Conv hand_on;
  hand_on.window.kernel = {1, 1};
  hand_on.window.stride = {stride, stride};
  hand_on.weights = build.Constant({1, 1, 1, 1}, {1});
  Conv nearest;
  nearest.window.kernel = {1, 1};
  nearest.weights = build.Constant({3, 1, 1, 1}, {0, 0.02f, 0.04f});
  nearest.bias = build.Constant({3}, {0, -1, -4});
  Model model;
  model.name = "nearest";
  model.graph = build.Finish({build.Add(nearest, {build.Add(hand_on, {x})})});
  model.preprocessing = Preprocessing{.color = ColorOrder::kGray, .width = 4, .height = 2};
  return model;
}

std::string Png(std::vector<uint8_t> pixels) {
  const Bytes png = EncodePng(Image{4, 2, 1, std::move(pixels)});
  return {png.begin(), png.end()};
}

class MapMeasureTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Images are known by their bytes: a .jpg may be a PNG, so that nothing is lost.
    images_ = folder_.Write("images.tar", MakeTar({{"i/a.jpg", Png({100, 100, 0, 0, 200, 0, 100, 0})},
                                                   {"m/a.png", Png({15, 15, 15, 0, 15, 0, 0, 255})},
                                                   {"i/b.jpg", Png({200, 200, 200, 200, 0, 0, 0, 0})},
                                                   {"m/b.png", Png({15, 15, 7, 0, 0, 0, 0, 0})}}));
    network_ = folder_.path() + "/network.bitstage";
    ASSERT_TRUE(WriteModelFile(NearestHundred(), network_).ok());
  }
  CallResult Study(const std::string& class_map, const std::string& schemes) const {
    return Call({StudyCommand()}, {"study", network_, "--calibration", images_, "--data", images_, "--class-map",
                                   class_map, "--schemes", schemes, "--json"});
  }
  CallResult Evaluate(const std::string& class_map) const {
    return Call({EvaluateCommand()}, {"evaluate", network_, "--data", images_, "--class-map", class_map, "--json"});
  }
  void ExpectBothRefuse(const std::string& class_map, int exit_code, const std::string& why) const {
    for (const CallResult& result : {Study(class_map, "direct:2"), Evaluate(class_map)}) {
      EXPECT_EQ(result.exit_code, exit_code) << class_map;
      EXPECT_THAT(result.err, HasSubstr(why));
    }
  }

  const TempFolder folder_;
  std::string images_;
  std::string network_;
};

TEST_F(MapMeasureTest, StudyMeasuresPersonsByIntersectionOverUnion) {
  // In float the network calls 3 pixels of the first image persons, 2 of them rightly, of 4 that are; none of the
  // second, where 2 are: 2 of 7. Direct-2 has the codes 0 and 1 for these maps, which makes persons of what was class
  // 2: 3 of 5 and 2 of 4. Five pixels of sixteen change.
  const CallResult result = Study("1:15", "direct:2");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("nearest: 1 block outputs, 2 images"),
                                HasSubstr("| float | 32.00 | 0.2857 | 100.00 | +0.0000 … +0.0000 |"),
                                HasSubstr("| direct:2 | 2.00 | 0.5556 | 68.75 | -0.0242 … +0.5638 |"),
                                HasSubstr("\"agreement\":0.6875")));
}

TEST_F(MapMeasureTest, EvaluateFindsTheSame) {
  const CallResult result = Evaluate("1:15");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  // 4 of 7 pixels of the first image that count and 6 of 8 of the second: what is no person in the truth is background.
  EXPECT_THAT(result.out, AllOf(HasSubstr("IoU        0.2857"), HasSubstr("pixels     66.67 % right")));
}

TEST_F(MapMeasureTest, WithoutAClassMapItIsTheMeanOverTheClassesOfTheTruth) {
  MapMeasure measure;
  std::vector<IouCounts> images;
  ASSERT_TRUE(CountMaps({{1, 1, 0, 0}, {2, 0, 255, 0}}, {{1, 0, 0, 0}, {0, 0, 2, 0}}, images).ok());
  // 0: 4 of 6, 1: 1 of 2, 2: none of 1.
  EXPECT_DOUBLE_EQ(measure.Iou(Sum(images)), (4.0 / 6 + 1.0 / 2 + 0) / 3);
}

TEST_F(MapMeasureTest, ScoresAndNumbersOfClassesGiveTheSameMaps) {
  const std::vector<float> scores = {1, 5, 0, 2, 3, 5, 2, 1};
  const std::vector<int64_t> numbers = {1, 0, 1, 0};
  for (const Tensor& outputs : {Tensor::Of({1, 2, 2, 2}, std::span<const float>(scores)),
                                Tensor::Of({1, 2, 2}, std::span<const int64_t>(numbers))}) {
    EXPECT_THAT(MapMeasure().Answers(outputs), ElementsAre(ElementsAre(1, 0, 1, 0)));
  }
}

TEST_F(MapMeasureTest, AClassMapThatDoesNotFitIsRefused) {
  ExpectBothRefuse("3:15", 1, "--class-map: the network has the classes 0 to 2, none is 3");
  ExpectBothRefuse("1:9", 1, "--class-map: no pixel of the images' label maps is of class 9");
  for (const char* text : {"1", "1:0", "1:255", "-1:15", "a:b", "1:2:3"}) {
    ExpectBothRefuse(text, 2, "--class-map expects PREDICTED:TRUTH");
  }
  GraphBuilder build;
  const ValueId x = build.Input({1, 2, 4});
  Model classifies = NearestHundred();
  classifies.graph = build.Finish({build.Add(GlobalAveragePool{.keep_dims = false}, {x})});
  ASSERT_TRUE(WriteModelFile(classifies, network_).ok());
  ExpectBothRefuse("1:15", 1, "--class-map: the network answers with a class for an image, not with a map");
}

TEST_F(MapMeasureTest, MapsOfAnotherSizeThanTheInputAreRefused) {
  ASSERT_TRUE(WriteModelFile(NearestHundred(/*stride=*/2), network_).ok());
  ExpectBothRefuse("1:15", 1, "the model's maps have 2 pixels, its input has 8");
}

TEST_F(MapMeasureTest, WhatNeedsAClassAnImageIsRefusedForMaps) {
  const CallResult greedy = Study("1:15", "direct:3,dqa:3+1");
  EXPECT_EQ(greedy.exit_code, 1);
  EXPECT_THAT(greedy.err, HasSubstr("'dqa:3+1': the greedy ranking needs a network that classifies images"));
  const CallResult widths =
      Call({StudyCommand()}, {"study", network_, "--calibration", images_, "--data", images_, "--adaptive"});
  EXPECT_EQ(widths.exit_code, 1);
  EXPECT_THAT(widths.err, HasSubstr("--adaptive needs a network that classifies images"));
}

}  // namespace
}  // namespace bitstage
