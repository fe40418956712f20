#include "engine/image/picture.h"

#include <gtest/gtest.h>

namespace bitstage {
namespace {

Image Gradient(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  for (int i = 0; i < width * height * channels; ++i) image.pixels.push_back(static_cast<uint8_t>(i * 7 % 256));
  return image;
}

absl::StatusOr<Image> Decoded(const Picture& picture, ColorOrder order) {
  return DecodeImage(std::as_bytes(std::span(picture.bytes)), order);
}

TEST(PictureTest, SmallImagesComeBackAsTheyWere) {
  const Image image = Gradient(32, 20, 3);
  const absl::StatusOr<Picture> picture = EncodePicture(image, 160);
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->mime, "image/png");
  const absl::StatusOr<Image> decoded = Decoded(*picture, ColorOrder::kRgb);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->pixels, image.pixels);
}

TEST(PictureTest, LargeImagesAreReducedInTheirProportions) {
  const absl::StatusOr<Picture> picture = EncodePicture(Gradient(640, 320, 3), 160);
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->mime, "image/jpeg");
  const absl::StatusOr<Image> decoded = Decoded(*picture, ColorOrder::kRgb);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->width, 160);
  EXPECT_EQ(decoded->height, 80);
}

TEST(PictureTest, NeverLosesASideAndTakesGrey) {
  const absl::StatusOr<Picture> picture = EncodePicture(Gradient(2000, 1, 1), 50);
  ASSERT_TRUE(picture.ok()) << picture.status();
  const absl::StatusOr<Image> decoded = Decoded(*picture, ColorOrder::kGray);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->width, 50);
  EXPECT_EQ(decoded->height, 1);
}

}  // namespace
}  // namespace bitstage
