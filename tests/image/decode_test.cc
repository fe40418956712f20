#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/image/image.h"
#include "tests/image/samples.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<Image> Decode(const Bytes& bytes, ColorOrder order = ColorOrder::kRgb, const ImageLimits& limits = {}) {
  return DecodeImage(AsBytes(bytes), order, limits);
}

void ExpectNear(const Image& got, const Image& wanted, int tolerance) {
  ASSERT_EQ(got.width, wanted.width);
  ASSERT_EQ(got.height, wanted.height);
  ASSERT_EQ(got.channels, wanted.channels);
  ASSERT_EQ(got.pixels.size(), wanted.pixels.size());
  for (size_t i = 0; i < got.pixels.size(); ++i) {
    ASSERT_LE(std::abs(int{got.pixels[i]} - int{wanted.pixels[i]}), tolerance) << "at byte " << i;
  }
}

void ExpectRefused(const Bytes& bytes, absl::StatusCode code, const std::string& part, const ImageLimits& limits = {}) {
  const absl::StatusOr<Image> image = Decode(bytes, ColorOrder::kRgb, limits);
  EXPECT_EQ(image.status().code(), code) << image.status();
  EXPECT_THAT(std::string(image.status().message()), HasSubstr(part));
}

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kExhausted = absl::StatusCode::kResourceExhausted;

TEST(DecodeImage, PngComesBackExactlyInTheOrderAskedFor) {
  const Image rgb = Gradient(31, 17, 3);
  const absl::StatusOr<Image> same = Decode(EncodePng(rgb), ColorOrder::kRgb);
  ASSERT_TRUE(same.ok()) << same.status();
  ExpectNear(*same, rgb, 0);
  const absl::StatusOr<Image> bgr = Decode(EncodePng(rgb), ColorOrder::kBgr);
  ASSERT_TRUE(bgr.ok()) << bgr.status();
  for (size_t i = 0; i < rgb.pixels.size(); i += 3) {
    ASSERT_EQ(bgr->pixels[i], rgb.pixels[i + 2]);
    ASSERT_EQ(bgr->pixels[i + 1], rgb.pixels[i + 1]);
    ASSERT_EQ(bgr->pixels[i + 2], rgb.pixels[i]);
  }
}

TEST(DecodeImage, BaselineAndProgressiveJpegComeBackNearly) {
  const Image rgb = Gradient(64, 48, 3);
  for (const bool progressive : {false, true}) {
    const absl::StatusOr<Image> image = Decode(EncodeJpeg(rgb, progressive));
    ASSERT_TRUE(image.ok()) << image.status();
    ExpectNear(*image, rgb, 6);
  }
}

TEST(DecodeImage, GreyBecomesThreeEqualChannelsAndColourBecomesGrey) {
  const Image grey = Gradient(20, 10, 1);
  for (const Bytes& bytes : {EncodePng(grey), EncodeJpeg(grey)}) {
    const absl::StatusOr<Image> image = Decode(bytes);
    ASSERT_TRUE(image.ok()) << image.status();
    ASSERT_EQ(image->channels, 3);
    for (size_t i = 0; i < image->pixels.size(); i += 3) {
      ASSERT_EQ(image->pixels[i], image->pixels[i + 1]);
      ASSERT_EQ(image->pixels[i], image->pixels[i + 2]);
      ASSERT_LE(std::abs(int{image->pixels[i]} - int{grey.pixels[i / 3]}), 3);
    }
  }
  const Image rgb = Gradient(20, 10, 3);
  const absl::StatusOr<Image> image = Decode(EncodePng(rgb), ColorOrder::kGray);
  ASSERT_TRUE(image.ok()) << image.status();
  ASSERT_EQ(image->channels, 1);
  for (size_t i = 0; i < image->pixels.size(); ++i) {
    const double luma = 0.299 * rgb.pixels[3 * i] + 0.587 * rgb.pixels[3 * i + 1] + 0.114 * rgb.pixels[3 * i + 2];
    ASSERT_NEAR(image->pixels[i], luma, 1.5);
  }
}

TEST(DecodeImage, SixteenBitSamplesKeepTheirHighByte) {
  const Image rgb = Gradient(12, 9, 3);
  const absl::StatusOr<Image> image = Decode(EncodePng16(rgb));
  ASSERT_TRUE(image.ok()) << image.status();
  ExpectNear(*image, rgb, 0);
}

TEST(DecodeImage, AlphaIsDroppedNotBlended) {
  const Image rgba = Gradient(16, 8, 4);
  Image rgb{16, 8, 3, {}};
  for (size_t i = 0; i < rgba.pixels.size(); ++i) {
    if (i % 4 != 3) rgb.pixels.push_back(rgba.pixels[i]);
  }
  const absl::StatusOr<Image> image = Decode(EncodePng(rgba));
  ASSERT_TRUE(image.ok()) << image.status();
  ExpectNear(*image, rgb, 0);
}

TEST(DecodeImage, PaletteGivesItsColours) {
  const Bytes png = MakePng(3, 1, 2, 3, {10, 20, 30, 40, 50, 60, 70, 80, 90}, {0, 0b00'01'10'00});
  const absl::StatusOr<Image> image = Decode(png);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_THAT(image->pixels, ::testing::ElementsAre(10, 20, 30, 40, 50, 60, 70, 80, 90));
}

TEST(DecodeImage, WhatSurroundsThePixelsDoesNotMatter) {
  const Image rgb = Gradient(9, 9, 3);
  Bytes png = EncodePng(rgb);
  const Bytes text = PngChunk("tEXt", FromString(std::string("Comment\0hello", 13)));
  png.insert(png.begin() + 33, text.begin(), text.end());  // behind IHDR
  png.insert(png.end(), {1, 2, 3});
  const absl::StatusOr<Image> image = Decode(png);
  ASSERT_TRUE(image.ok()) << image.status();
  ExpectNear(*image, rgb, 0);
}

TEST(DecodeImage, ExifOrientationIsIgnored) {
  Bytes jpeg = EncodeJpeg(Gradient(32, 16, 3));
  const absl::StatusOr<Image> plain = Decode(jpeg);
  ASSERT_TRUE(plain.ok()) << plain.status();
  // APP1: Exif, little-endian TIFF, one entry: orientation (0x112), SHORT, 6 = rotated by 90 degrees.
  const Bytes exif = {0xff, 0xe1, 0,    34, 'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0,
                      1,    0,    0x12, 1,  3,   0,   1,   0,   0, 0, 6,   0,   0,  0, 0, 0, 0, 0};
  jpeg.insert(jpeg.begin() + 2, exif.begin(), exif.end());
  const absl::StatusOr<Image> image = Decode(jpeg);
  ASSERT_TRUE(image.ok()) << image.status();
  ExpectNear(*image, *plain, 0);
}

TEST(DecodeImage, RefusesWhatIsNoImage) {
  ExpectRefused({}, kInvalid, "no bytes");
  ExpectRefused(FromString("just a line of text"), kInvalid, "neither PNG nor JPEG");
  ExpectRefused(FromString("GIF89a"), kInvalid, "begin with 47 49 46");
  ExpectRefused({0xff, 0xd8, 0xff}, kInvalid, "truncated");
  ExpectRefused({0xff, 0xd8, 0xff, 0xd9}, kInvalid, "no frame header");
}

TEST(DecodeImage, RefusesEveryTruncation) {
  const Image rgb = Gradient(40, 30, 3);
  for (const Bytes& whole : {EncodePng(rgb), EncodeJpeg(rgb), EncodeJpeg(rgb, true)}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
      ASSERT_EQ(Decode(cut).status().code(), kInvalid) << size << " of " << whole.size() << " bytes";
    }
    EXPECT_TRUE(Decode(whole).ok());
  }
}

TEST(DecodeImage, RefusesAFlippedBitInAPng) {
  const Bytes whole = EncodePng(Gradient(40, 30, 3));
  for (size_t byte = 0; byte < whole.size(); ++byte) {
    Bytes damaged = whole;
    damaged[byte] ^= 0x10;
    ASSERT_FALSE(Decode(damaged).ok()) << "byte " << byte;
  }
}

TEST(DecodeImage, SurvivesAFlippedBitInAJpeg) {
  const Image rgb = Gradient(40, 30, 3);
  const Bytes whole = EncodeJpeg(rgb);
  const ImageLimits limits{.max_pixels = 1 << 20};
  for (size_t byte = 0; byte < whole.size(); ++byte) {
    Bytes damaged = whole;
    damaged[byte] ^= 0x10;
    const absl::StatusOr<Image> image = Decode(damaged, ColorOrder::kRgb, limits);
    if (image.ok()) {
      ASSERT_EQ(image->pixels.size(), static_cast<size_t>(image->width * image->height * 3));
    } else {
      ASSERT_TRUE(image.status().code() == kInvalid || image.status().code() == kExhausted) << image.status();
    }
  }
  const absl::StatusOr<Image> good = Decode(whole);
  ASSERT_TRUE(good.ok());
  ExpectNear(*good, rgb, 6);
}

TEST(DecodeImage, RefusesHugeHeadersBeforeAllocating) {
  ExpectRefused(MakePng(60000, 60000, 8, 2, {}, {0}), kExhausted, "60000 x 60000");
  ExpectRefused(MakePng(0xffffffff, 0xffffffff, 8, 2, {}, {0}), kExhausted, "4294967295 x 4294967295");
  ExpectRefused(MakeJpegSkeleton(60000, 60000, 3), kExhausted, "60000 x 60000");
}

TEST(DecodeImage, HoldsTheCallersLimits) {
  const Bytes png = EncodePng(Gradient(40, 30, 3));
  EXPECT_TRUE(Decode(png, ColorOrder::kRgb, {.max_encoded_bytes = png.size(), .max_pixels = 1200}).ok());
  ExpectRefused(png, kExhausted, "limit is 1199 pixels", {.max_pixels = 1199});
  ExpectRefused(png, kExhausted, "bytes; the limit is", {.max_encoded_bytes = png.size() - 1});
}

TEST(DecodeImage, RefusesEmptyDimensions) {
  ExpectRefused(MakePng(0, 5, 8, 2, {}, {}), kInvalid, "empty");
  ExpectRefused(MakePng(5, 0, 8, 2, {}, {}), kInvalid, "empty");
  ExpectRefused(MakeJpegSkeleton(0, 7, 3), kInvalid, "empty");
  ExpectRefused(MakeJpegSkeleton(7, 0, 3), kInvalid, "empty");
}

TEST(DecodeImage, RefusesCmykAndOtherKindsOfJpegByName) {
  ExpectRefused(MakeJpegSkeleton(8, 8, 4), kInvalid, "CMYK");
  ExpectRefused(MakeJpegSkeleton(8, 8, 2), kInvalid, "2 components");
  ExpectRefused(MakeJpegSkeleton(8, 8, 3, 0xc1, 12), kInvalid, "12 bits");
  ExpectRefused(MakeJpegSkeleton(8, 8, 3, 0xc3), kInvalid, "lossless");
  ExpectRefused(MakeJpegSkeleton(8, 8, 3, 0xc9), kInvalid, "arithmetic");
}

TEST(DecodeImage, RefusesAJpegWithAComponentThatNoScanHolds) {
  Bytes jpeg = MakeJpegSkeleton(8, 8, 3);
  jpeg[24] = 8;                                      // the scan header's length
  jpeg[25] = 1;                                      // its number of components
  jpeg.erase(jpeg.begin() + 28, jpeg.begin() + 32);  // two of the three entries
  ExpectRefused(jpeg, kInvalid, "no scan holds component 1");
}

TEST(DecodeImage, RefusesAJpegOfEndlessScans) {
  Bytes jpeg = MakeJpegSkeleton(8, 8, 1);
  const Bytes scan(jpeg.begin() + 15, jpeg.end() - 2);
  for (int i = 0; i < 100; ++i) jpeg.insert(jpeg.end() - 2, scan.begin(), scan.end());
  ExpectRefused(jpeg, kExhausted, "100 scans");
}

TEST(DecodeImage, RefusesMalformedPngKinds) {
  ExpectRefused(MakePng(4, 4, 3, 0, {}, {0}), kInvalid, "no such kind");
  ExpectRefused(MakePng(4, 4, 16, 3, {1, 2, 3}, {0}), kInvalid, "no such kind");
  ExpectRefused(MakePng(4, 4, 8, 3, {}, {0}), kInvalid, "without a PLTE");
  ExpectRefused(MakePng(4, 4, 8, 3, Bytes(7), {0}), kInvalid, "PLTE chunk of 7 bytes");
}

TEST(DecodeImage, RefusesAPngWhoseDataEndsEarly) {
  ExpectRefused(MakePng(4, 4, 8, 0, {}, {0, 1, 2, 3, 4}), kInvalid, "damaged");
}

}  // namespace
}  // namespace bitstage
