#include "engine/image/resample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/image/samples.h"

namespace bitstage {
namespace {

AxisMapping Whole(int source, int size) { return {0, source, size, 0, size}; }

// Rough: neighbouring pixels differ much.
Image Rough() {
  Image image{7, 5, 1, {}};
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 7; ++x)
      image.pixels.push_back(static_cast<uint8_t>((x * 37 + y * 91 + (x * y) % 5 * 13) % 256));
  }
  return image;
}

struct Golden {
  int width;
  int height;
  Filter filter;
  Bytes pixels;
};

// By Pillow 12's Image.resize, which is what the networks' published preprocessing was.
const Golden kGolden[] = {
    {3, 2, Filter::kTriangle, {109, 127, 114, 129, 145, 108}},
    {9, 8, Filter::kTriangle, {0,   25,  53,  82,  111, 140, 169, 197, 222, 40, 68,  101, 135, 168, 114,
                               107, 127, 156, 97,  130, 163, 193, 229, 82,  32, 43,  77,  154, 193, 160,
                               99,  110, 93,  85,  102, 142, 130, 175, 140, 74, 91,  127, 139, 135, 127,
                               27,  78,  102, 117, 172, 183, 192, 141, 32,  68, 124, 160, 180, 217, 119,
                               101, 100, 81,  108, 167, 208, 226, 245, 65,  26, 67,  126}},
    {4, 3, Filter::kLanczos3, {56, 141, 114, 132, 157, 121, 115, 107, 98, 189, 137, 91}},
    {10, 6, Filter::kLanczos3, {0,   13,  44,  64,  88, 119, 157, 184, 215, 233, 53,  71, 118, 171, 239,
                                179, 53,  40,  79,  98, 172, 222, 219, 121, 119, 110, 51, 26,  88,  145,
                                106, 165, 160, 44,  32, 108, 181, 196, 149, 114, 16,  59, 117, 139, 200,
                                199, 150, 176, 102, 20, 108, 158, 218, 223, 255, 169, 0,  0,   88,  142}},
};

TEST(Resample, EqualsPillow) {
  for (const Golden& golden : kGolden) {
    const Image result = Resample(Rough(), Whole(7, golden.width), Whole(5, golden.height), golden.filter);
    EXPECT_EQ(result.width, golden.width);
    EXPECT_EQ(result.height, golden.height);
    EXPECT_EQ(result.pixels, golden.pixels) << golden.width << " x " << golden.height;
  }
}

TEST(Resample, APartIsThePartOfTheWhole) {
  const Image image = Gradient(50, 33, 3);
  const Image whole = Resample(image, Whole(50, 21), Whole(33, 40), Filter::kTriangle);
  const Image part = Resample(image, {0, 50, 21, 4, 9}, {0, 33, 40, 30, 10}, Filter::kTriangle);
  ASSERT_EQ(part.width, 9);
  ASSERT_EQ(part.height, 10);
  for (int y = 0; y < 10; ++y) {
    for (int i = 0; i < 9 * 3; ++i) {
      ASSERT_EQ(part.pixels[static_cast<size_t>(y * 27 + i)],
                whole.pixels[static_cast<size_t>((y + 30) * 63 + 4 * 3 + i)]);
    }
  }
}

TEST(Resample, PixelsOutsideTheSourceAreNotRead) {
  Image framed{9, 9, 1, Bytes(81, 255)};
  for (size_t y = 2; y < 7; ++y) {
    for (size_t x = 2; x < 7; ++x) framed.pixels[y * 9 + x] = 10;
  }
  for (const Filter filter : {Filter::kTriangle, Filter::kLanczos3}) {
    const Image result = Resample(framed, {2, 5, 8, 0, 8}, {2, 5, 3, 0, 3}, filter);
    EXPECT_THAT(result.pixels, ::testing::Each(10));
  }
}

TEST(Resample, TheSameSizeIsACopy) {
  const Image image = Gradient(11, 6, 3);
  EXPECT_EQ(Resample(image, Whole(11, 11), Whole(6, 6), Filter::kLanczos3).pixels, image.pixels);
}

TEST(ResampleNearest, TakesTheCellUnderTheCentre) {
  const Image image{4, 1, 1, {1, 2, 3, 4}};
  EXPECT_THAT(ResampleNearest(image, Whole(4, 2), Whole(1, 1)).pixels, ::testing::ElementsAre(2, 4));
  EXPECT_THAT(ResampleNearest(image, Whole(4, 8), Whole(1, 1)).pixels, ::testing::ElementsAre(1, 1, 2, 2, 3, 3, 4, 4));
}

}  // namespace
}  // namespace bitstage
