// The real data sets: counts, order and labels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/data/dataset.h"
#include "tests/support/shared_data.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;

Dataset OpenOrDie(const std::string& path) {
  absl::StatusOr<Dataset> dataset = Dataset::Open(path);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *std::move(dataset);
}

std::vector<int> FirstLabels(const Dataset& dataset, int64_t count) {
  std::vector<int> labels;
  for (int64_t i = 0; i < count; ++i) labels.push_back(dataset.label(i).value_or(-1));
  return labels;
}

std::vector<int> CountsByLabel(const Dataset& dataset, int classes) {
  std::vector<int> counts(static_cast<size_t>(classes), 0);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const int label = dataset.label(i).value_or(-1);
    EXPECT_GE(label, 0);
    EXPECT_LT(label, classes);
    if (label >= 0 && label < classes) ++counts[static_cast<size_t>(label)];
  }
  return counts;
}

TEST(SharedData, CifarTestImages) {
  const Dataset dataset = OpenOrDie(BITSTAGE_SHARED_OR_SKIP("data/cifar10/test_batch_first800.bin"));
  EXPECT_EQ(dataset.size(), 800);
  EXPECT_THAT(FirstLabels(dataset, 10), ElementsAre(3, 8, 8, 0, 6, 6, 1, 6, 3, 1));
  CountsByLabel(dataset, 10);
  const Image image = *dataset.Load(799, ColorOrder::kRgb);
  EXPECT_EQ(image.width, 32);
  EXPECT_EQ(image.height, 32);
}

TEST(SharedData, CifarTrainingImagesAsJpegRecords) {
  const Dataset dataset = OpenOrDie(BITSTAGE_SHARED_OR_SKIP("data/cifar10/train_jpeg_50000.bin"));
  EXPECT_EQ(dataset.size(), 50000);
  EXPECT_THAT(CountsByLabel(dataset, 10), ::testing::Each(5000));
  for (const int64_t index : {0, 24999, 49999}) {
    const absl::StatusOr<Image> image = dataset.Load(index, ColorOrder::kRgb);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->width, 32);
    EXPECT_EQ(image->height, 32);
  }
}

TEST(SharedData, MnistTestImages) {
  const Dataset dataset = OpenOrDie(BITSTAGE_SHARED_OR_SKIP("data/mnist/t10k-images-idx3-ubyte.gz"));
  EXPECT_EQ(dataset.size(), 10000);
  EXPECT_THAT(FirstLabels(dataset, 10), ElementsAre(7, 2, 1, 0, 4, 1, 4, 9, 5, 9));
  CountsByLabel(dataset, 10);
  EXPECT_EQ(dataset.Load(0, ColorOrder::kGray)->pixels.size(), 784u);
}

TEST(SharedData, ImagenetValidationImagesAre227Wide) {
  const Dataset dataset = OpenOrDie(BITSTAGE_SHARED_OR_SKIP("data/imagenet/val227_1000.tar"));
  EXPECT_EQ(dataset.size(), 1000);
  EXPECT_EQ(dataset.name(0), "ILSVRC2012_val_00000347.JPEG");
  EXPECT_THAT(FirstLabels(dataset, 4), ElementsAre(472, 260, 300, 133));
  CountsByLabel(dataset, 1000);
  for (int64_t i = 0; i < dataset.size(); i += 37) {
    const absl::StatusOr<Image> image = dataset.Load(i, ColorOrder::kBgr);
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->width, 227);
    EXPECT_EQ(image->height, 227);
  }
}

TEST(SharedData, ImagenetSamplesAllDecode) {
  const Dataset dataset = OpenOrDie(BITSTAGE_SHARED_OR_SKIP("data/imagenet/samples_orig_300.tar"));
  EXPECT_EQ(dataset.size(), 300);
  EXPECT_THAT(FirstLabels(dataset, 3), ElementsAre(0, 3, 6));
  CountsByLabel(dataset, 1000);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const absl::StatusOr<Image> image = dataset.Load(i, ColorOrder::kRgb);
    ASSERT_TRUE(image.ok()) << image.status();
  }
}

TEST(SharedData, VocImagesHaveLabelMapsOfTheirSizeWithPersons) {
  const Dataset dataset = OpenOrDie(BITSTAGE_SHARED_OR_SKIP("data/voc/voc_person_120.tar"));
  ASSERT_EQ(dataset.size(), 120);
  EXPECT_TRUE(dataset.has_label_maps());
  EXPECT_FALSE(dataset.has_labels());
  for (int64_t i = 0; i < dataset.size(); i += 7) {
    const absl::StatusOr<Image> image = dataset.Load(i, ColorOrder::kRgb);
    const absl::StatusOr<Image> map = dataset.LoadLabelMap(i);
    ASSERT_TRUE(image.ok()) << image.status();
    ASSERT_TRUE(map.ok()) << map.status();
    EXPECT_EQ(map->width, image->width);
    EXPECT_EQ(map->height, image->height);
    EXPECT_TRUE(std::any_of(map->pixels.begin(), map->pixels.end(), [](uint8_t label) { return label == 15; }));
    EXPECT_TRUE(std::all_of(map->pixels.begin(), map->pixels.end(), [](uint8_t l) { return l <= 20 || l == 255; }));
  }
}

}  // namespace
}  // namespace bitstage
