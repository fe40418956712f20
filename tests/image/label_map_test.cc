#include "engine/image/label_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/image/samples.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(DecodeLabelMap, GivesIndicesWhateverTheColours) {
  // Entries 0 and 1 look the same: only the index tells them apart.
  const Bytes png = MakePng(3, 2, 8, 3, {9, 9, 9, 9, 9, 9, 0, 128, 0}, {0, 0, 1, 2, 0, 2, 1, 0});
  const absl::StatusOr<Image> map = DecodeLabelMap(AsBytes(png));
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(map->channels, 1);
  EXPECT_THAT(map->pixels, ElementsAre(0, 1, 2, 2, 1, 0));
}

TEST(DecodeLabelMap, GivesTheValuesOfAGreyImage) {
  const Image grey = Gradient(7, 5, 1);
  const absl::StatusOr<Image> map = DecodeLabelMap(AsBytes(EncodePng(grey)));
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(map->pixels, grey.pixels);
}

TEST(DecodeLabelMap, RefusesColourAndJpeg) {
  const Image rgb = Gradient(7, 5, 3);
  for (const Bytes& bytes : {EncodePng(rgb), EncodeJpeg(rgb), EncodePng16(Gradient(7, 5, 1))}) {
    const absl::Status status = DecodeLabelMap(AsBytes(bytes)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), HasSubstr("label map: expected"));
  }
}

TEST(PreprocessLabelMapInto, PadsWithTheIgnoredLabel) {
  const Image map{2, 1, 1, {3, 4}};
  Preprocessing preprocessing;
  preprocessing.geometry = Geometry::kLetterbox;
  preprocessing.width = preprocessing.height = 4;
  std::vector<uint8_t> output(16);
  ASSERT_TRUE(PreprocessLabelMapInto(map, preprocessing, output).ok());
  EXPECT_THAT(output, ElementsAre(3, 3, 4, 4, 3, 3, 4, 4, 255, 255, 255, 255, 255, 255, 255, 255));
}

TEST(PreprocessLabelMapInto, TakesTheCentralSquare) {
  const Image map{5, 2, 1, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}};
  Preprocessing preprocessing;
  preprocessing.geometry = Geometry::kCropSquare;
  preprocessing.width = preprocessing.height = 2;
  std::vector<uint8_t> output(4);
  ASSERT_TRUE(PreprocessLabelMapInto(map, preprocessing, output).ok());
  EXPECT_THAT(output, ElementsAre(1, 2, 6, 7));
}

}  // namespace
}  // namespace bitstage
