#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "engine/image/image.h"
#include "tests/image/samples.h"

namespace bitstage {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Grey, its value the column (or the row) number.
Image Ramp(int width, int height, bool along_x = true) {
  Image image{width, height, 1, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) image.pixels.push_back(static_cast<uint8_t>(along_x ? x : y));
  }
  return image;
}

Preprocessing Grey(Geometry geometry, int width, int height) {
  Preprocessing preprocessing;
  preprocessing.color = ColorOrder::kGray;
  preprocessing.geometry = geometry;
  preprocessing.width = width;
  preprocessing.height = height;
  return preprocessing;
}

std::vector<float> Preprocessed(const Image& image, const Preprocessing& preprocessing) {
  std::vector<float> output(static_cast<size_t>(preprocessing.channels() * preprocessing.width * preprocessing.height),
                            std::numeric_limits<float>::quiet_NaN());
  const absl::Status status = PreprocessInto(image, preprocessing, output);
  EXPECT_TRUE(status.ok()) << status;
  return output;
}

TEST(CenterCrop, AnImageOfTheInputsSizeIsTakenAsItIs) {
  Preprocessing preprocessing = Grey(Geometry::kCenterCrop, 5, 5);
  preprocessing.resize_shorter = 6;
  EXPECT_THAT(Preprocessed(Ramp(5, 5), preprocessing), ::testing::ElementsAreArray(Ramp(5, 5).pixels));
}

TEST(CenterCrop, AnImageUpToResizeShorterIsCroppedNotResized) {
  Preprocessing preprocessing = Grey(Geometry::kCenterCrop, 224, 224);
  preprocessing.resize_shorter = 256;
  const std::vector<float> columns = Preprocessed(Ramp(227, 227), preprocessing);
  EXPECT_EQ(columns.front(), 1.0f);  // [1:225]
  EXPECT_EQ(columns[223], 224.0f);
  const std::vector<float> rows = Preprocessed(Ramp(227, 227, false), preprocessing);
  EXPECT_EQ(rows.front(), 1.0f);
  EXPECT_EQ(rows.back(), 224.0f);
}

TEST(CenterCrop, ALargerImageIsResizedByItsShorterSide) {
  Preprocessing preprocessing = Grey(Geometry::kCenterCrop, 2, 2);
  preprocessing.resize_shorter = 4;
  // 16 x 8 becomes 8 x 4; columns 3 and 4 of it lie over source columns 6.5 and 8.5.
  const std::vector<float> output = Preprocessed(Ramp(16, 8), preprocessing);
  EXPECT_THAT(output, ElementsAre(7, 9, 7, 9));
}

TEST(CenterCrop, ASmallerImageIsEnlarged) {
  Preprocessing preprocessing = Grey(Geometry::kCenterCrop, 4, 4);
  preprocessing.resize_shorter = 4;
  const Image image{2, 2, 1, {0, 100, 0, 100}};
  EXPECT_THAT(Preprocessed(image, preprocessing),
              ElementsAre(0, 25, 75, 100, 0, 25, 75, 100, 0, 25, 75, 100, 0, 25, 75, 100));
}

TEST(CenterCrop, AWideInputIsCoveredByASquareImage) {
  Preprocessing preprocessing = Grey(Geometry::kCenterCrop, 8, 2);
  preprocessing.resize_shorter = 2;
  const Image image{4, 4, 1, Bytes(16, 77)};
  EXPECT_THAT(Preprocessed(image, preprocessing), Each(77.0f));
}

TEST(CropSquare, TakesTheMiddle) {
  EXPECT_THAT(Preprocessed(Ramp(8, 4), Grey(Geometry::kCropSquare, 4, 4)),
              ElementsAre(2, 3, 4, 5, 2, 3, 4, 5, 2, 3, 4, 5, 2, 3, 4, 5));
}

TEST(Stretch, IgnoresTheAspect) {
  const Image image{4, 1, 1, {10, 10, 30, 30}};
  EXPECT_THAT(Preprocessed(image, Grey(Geometry::kStretch, 4, 2)), ElementsAre(10, 10, 30, 30, 10, 10, 30, 30));
}

TEST(Letterbox, PastesTopLeftOnThePadValue) {
  Preprocessing preprocessing = Grey(Geometry::kLetterbox, 4, 4);
  preprocessing.pad_value = 128;
  EXPECT_THAT(Preprocessed(Ramp(4, 2), preprocessing),
              ElementsAre(0, 1, 2, 3, 0, 1, 2, 3, 128, 128, 128, 128, 128, 128, 128, 128));
  EXPECT_THAT(Preprocessed(Ramp(2, 4), preprocessing),
              ElementsAre(0, 1, 128, 128, 0, 1, 128, 128, 0, 1, 128, 128, 0, 1, 128, 128));
}

TEST(Letterbox, ThePaddingIsNormalisedToo) {
  Preprocessing preprocessing = Grey(Geometry::kLetterbox, 2, 2);
  preprocessing.pad_value = 128;
  preprocessing.mean = {128.0f};
  preprocessing.std = {128.0f};
  EXPECT_THAT(Preprocessed(Image{2, 1, 1, {0, 192}}, preprocessing), ElementsAre(-1.0f, 0.5f, 0.0f, 0.0f));
}

TEST(Preprocess, NormalisesEveryChannelIntoItsPlane) {
  Preprocessing preprocessing;
  preprocessing.width = 2;
  preprocessing.height = 1;
  preprocessing.scale = 1.0f / 255.0f;
  preprocessing.mean = {0.485f, 0.456f, 0.406f};
  preprocessing.std = {0.229f, 0.224f, 0.225f};
  const std::vector<float> output = Preprocessed(Image{2, 1, 3, {0, 10, 20, 255, 40, 50}}, preprocessing);
  const float scale = 1.0f / 255.0f;
  EXPECT_EQ(output[0], (0.0f * scale - 0.485f) / 0.229f);
  EXPECT_EQ(output[1], (255.0f * scale - 0.485f) / 0.229f);
  EXPECT_EQ(output[2], (10.0f * scale - 0.456f) / 0.224f);
  EXPECT_EQ(output[3], (40.0f * scale - 0.456f) / 0.224f);
  EXPECT_EQ(output[4], (20.0f * scale - 0.406f) / 0.225f);
  EXPECT_EQ(output[5], (50.0f * scale - 0.406f) / 0.225f);
}

TEST(Preprocess, OneMeanServesAllChannels) {
  Preprocessing preprocessing;
  preprocessing.width = preprocessing.height = 1;
  preprocessing.mean = {127.5f};
  preprocessing.std = {127.5f};
  EXPECT_THAT(Preprocessed(Image{1, 1, 3, {0, 255, 51}}, preprocessing),
              ElementsAre(-1.0f, 1.0f, (51.0f - 127.5f) / 127.5f));
}

TEST(Preprocess, ExtremeAspectsCostNoMoreThanTheirPixels) {
  Preprocessing preprocessing = Grey(Geometry::kCenterCrop, 224, 224);
  preprocessing.resize_shorter = 256;
  const Image thread{1 << 20, 1, 1, Bytes(size_t{1} << 20, 42)};  // resized whole, it would have 2^36 pixels
  EXPECT_THAT(Preprocessed(thread, preprocessing), Each(42.0f));
  preprocessing.geometry = Geometry::kLetterbox;
  EXPECT_EQ(Preprocessed(thread, preprocessing).front(), 42.0f);
}

TEST(Preprocess, RefusesWhatDoesNotFit) {
  const Image image = Ramp(4, 4);
  std::vector<float> output(4);
  const auto message = [&](const Preprocessing& preprocessing, const Image& source) {
    const absl::Status status = PreprocessInto(source, preprocessing, output);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  const Preprocessing good = Grey(Geometry::kStretch, 2, 2);
  EXPECT_TRUE(PreprocessInto(image, good, output).ok());

  EXPECT_THAT(message(Grey(Geometry::kStretch, 2, 3), image), HasSubstr("output of 4 elements; expected 1x3x2"));
  EXPECT_THAT(message(Grey(Geometry::kStretch, 0, 4), image), HasSubstr("input of 0 x 4"));
  Preprocessing bad = good;
  bad.color = ColorOrder::kRgb;
  EXPECT_THAT(message(bad, image), HasSubstr("expected 3 channels"));
  bad = good;
  bad.mean = {1.0f, 2.0f};
  EXPECT_THAT(message(bad, image), HasSubstr("mean has 2 entries"));
  bad = good;
  bad.std = {0.0f};
  EXPECT_THAT(message(bad, image), HasSubstr("std holds 0"));
  bad = good;
  bad.pad_value = 300;
  EXPECT_THAT(message(bad, image), HasSubstr("pad_value is 300"));
  Image torn = image;
  torn.pixels.pop_back();
  EXPECT_THAT(message(good, torn), HasSubstr("in 15 bytes"));
}

}  // namespace
}  // namespace bitstage
