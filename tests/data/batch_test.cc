#include "engine/data/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/data/temp_folder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Preprocessing Grey(int width, int height) {
  Preprocessing preprocessing;
  preprocessing.color = ColorOrder::kGray;
  preprocessing.width = width;
  preprocessing.height = height;
  return preprocessing;
}

TEST(LoadBatch, StacksTheAskedForImagesInTheAskedForOrder) {
  const TempFolder folder;
  const absl::StatusOr<Dataset> dataset =
      Dataset::Open(folder.Write("i", MakeIdx({3, 1, 2}, std::string("\1\2\3\4\5\6", 6))));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const std::vector<int64_t> indices = {2, 0, 2};
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    const absl::StatusOr<Tensor> batch = LoadBatch(*dataset, indices, Grey(2, 1), &pool);
    ASSERT_TRUE(batch.ok()) << batch.status();
    EXPECT_EQ(batch->shape(), (Shape{3, 1, 1, 2}));
    EXPECT_THAT(batch->Span<float>(), ElementsAre(5, 6, 1, 2, 5, 6));
  }
}

TEST(LoadBatch, NamesTheFirstBadImage) {
  const TempFolder folder;
  const absl::StatusOr<Dataset> dataset = Dataset::Open(
      folder.Write("s.tar", MakeTar({{"a.png", GreyPng(1, 1, 1)}, {"b.png", "no"}, {"c.png", "neither"}})));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  const std::vector<int64_t> indices = {0, 2, 1};
  const absl::Status status = LoadBatch(*dataset, indices, Grey(1, 1)).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("c.png"));
}

TEST(LoadBatch, RefusesIndicesAndSizesOutOfRange) {
  const TempFolder folder;
  const absl::StatusOr<Dataset> dataset = Dataset::Open(folder.Write("one.png", GreyPng(1, 1, 1)));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  for (const int64_t index : {-1, 1}) {
    const absl::Status status = LoadBatch(*dataset, std::vector<int64_t>{index}, Grey(1, 1)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << status;
  }
  const absl::Status status = LoadBatch(*dataset, std::vector<int64_t>{0}, Grey(1 << 30, 1 << 30)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

TEST(LoadLabelMapBatch, FollowsTheGeometryOfTheImages) {
  const TempFolder folder;
  const absl::StatusOr<Dataset> dataset =
      Dataset::Open(folder.Write("s.tar", MakeTar({{"i/1.jpg", "?"}, {"m/1.png", GreyPng(4, 2, 15)}})));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  Preprocessing preprocessing = Grey(2, 2);
  preprocessing.geometry = Geometry::kLetterbox;
  const absl::StatusOr<Tensor> maps = LoadLabelMapBatch(*dataset, std::vector<int64_t>{0}, preprocessing);
  ASSERT_TRUE(maps.ok()) << maps.status();
  EXPECT_EQ(maps->shape(), (Shape{1, 2, 2}));
  EXPECT_THAT(maps->Span<uint8_t>(), ElementsAre(15, 15, 255, 255));
}

}  // namespace
}  // namespace bitstage
