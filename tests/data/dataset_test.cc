#include "engine/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/image/label_map.h"
#include "tests/data/temp_folder.h"

namespace bitstage {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> Names(const Dataset& dataset) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < dataset.size(); ++i) names.push_back(dataset.name(i));
  return names;
}

std::string ErrorOf(const std::string& path, const Dataset::Options& options = {}) {
  const absl::StatusOr<Dataset> dataset = Dataset::Open(path, options);
  EXPECT_FALSE(dataset.ok());
  EXPECT_NE(dataset.status().code(), absl::StatusCode::kInternal);
  return dataset.ok() ? "" : std::string(dataset.status().message());
}

uint8_t FirstPixel(const Dataset& dataset, int64_t index) {
  const absl::StatusOr<Image> image = dataset.Load(index, ColorOrder::kGray);
  EXPECT_TRUE(image.ok()) << image.status();
  return image.ok() ? image->pixels[0] : 0;
}

std::string CifarRecord(uint8_t label) {
  return static_cast<char>(label) + std::string(1024, '\x0a') + std::string(1024, '\x14') + std::string(1024, '\x1e');
}

TEST(Dataset, CifarPlanesBecomeInterleavedPixels) {
  const TempFolder folder;
  const absl::StatusOr<Dataset> dataset = Dataset::Open(folder.Write("any.name", CifarRecord(3) + CifarRecord(9)));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->size(), 2);
  EXPECT_TRUE(dataset->has_labels());
  EXPECT_EQ(dataset->label(0), 3);
  EXPECT_EQ(dataset->label(1), 9);
  EXPECT_EQ(dataset->Description(), "2 images of CIFAR-10 records, any.name");
  const Image rgb = *dataset->Load(1, ColorOrder::kRgb);
  EXPECT_EQ(rgb.pixels.size(), 3072u);
  EXPECT_THAT(std::vector(rgb.pixels.begin(), rgb.pixels.begin() + 3), ElementsAre(10, 20, 30));
  const Image bgr = *dataset->Load(1, ColorOrder::kBgr);
  EXPECT_THAT(std::vector(bgr.pixels.end() - 3, bgr.pixels.end()), ElementsAre(30, 20, 10));
  EXPECT_THAT(dataset->Load(0, ColorOrder::kGray)->pixels, Each(18));  // 0.299·10 + 0.587·20 + 0.114·30 = 18.15
}

TEST(Dataset, ATornCifarFileIsNoDataSet) {
  const TempFolder folder;
  const std::string whole = CifarRecord(3) + CifarRecord(9);
  EXPECT_THAT(ErrorOf(folder.Write("torn", whole.substr(0, whole.size() - 1))), HasSubstr("no data set"));
  EXPECT_THAT(ErrorOf(folder.Write("label", CifarRecord(10))), HasSubstr("no data set"));
  EXPECT_THAT(ErrorOf(folder.Write("empty", "")), HasSubstr("0 bytes"));
}

TEST(Dataset, JpegRecordsAreWalkedToTheLast) {
  const TempFolder folder;
  const std::string stub("\xff\xd8\xff\xd9", 4);
  const std::string record = std::string("\x05\x04\x00", 3) + stub;
  const absl::StatusOr<Dataset> dataset = Dataset::Open(folder.Write("r.bin", record + record + record));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->size(), 3);
  EXPECT_EQ(dataset->label(2), 5);
  EXPECT_THAT(std::string(dataset->Load(2, ColorOrder::kRgb).status().message()), HasSubstr("r.bin: #2: JPEG"));
  EXPECT_THAT(ErrorOf(folder.Write("cut.bin", record + record + record.substr(0, 6))),
              HasSubstr("record 2 at byte 14 is cut off"));
}

TEST(Dataset, IdxImagesFindTheirLabelsBesideThem) {
  const TempFolder folder;
  const std::string images =
      folder.Write("t-images-idx3-ubyte.gz", Gzip(MakeIdx({2, 1, 3}, std::string("\1\2\3\4\5\6", 6))));
  const absl::StatusOr<Dataset> unlabelled = Dataset::Open(images);
  ASSERT_TRUE(unlabelled.ok()) << unlabelled.status();
  EXPECT_FALSE(unlabelled->has_labels());
  EXPECT_EQ(unlabelled->label(0), std::nullopt);

  folder.Write("t-labels-idx1-ubyte", MakeIdx({2}, "\7\1"));
  const absl::StatusOr<Dataset> dataset = Dataset::Open(images);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->label(0), 7);
  EXPECT_EQ(dataset->label(1), 1);
  const Image image = *dataset->Load(1, ColorOrder::kGray);
  EXPECT_EQ(image.width, 3);
  EXPECT_EQ(image.height, 1);
  EXPECT_THAT(image.pixels, ElementsAre(4, 5, 6));
  EXPECT_THAT(dataset->Load(1, ColorOrder::kRgb)->pixels, ElementsAre(4, 4, 4, 5, 5, 5, 6, 6, 6));
}

TEST(Dataset, RefusesIdxExtentsThatAreNotTheFiles) {
  const TempFolder folder;
  EXPECT_THAT(ErrorOf(folder.Write("a", MakeIdx({3, 1, 3}, "123456"))), HasSubstr("3x1x3 do not match the 6 bytes"));
  EXPECT_THAT(ErrorOf(folder.Write("b", MakeIdx({0xffffffff, 0xffffffff, 0xffffffff}, "1"))),
              HasSubstr("do not match"));
  EXPECT_THAT(ErrorOf(folder.Write("c", MakeIdx({4}, "1234"))), HasSubstr("expected images"));
  EXPECT_THAT(ErrorOf(folder.Write("d", MakeIdx({5, 0, 3}, ""))), HasSubstr("images of 3 x 0 pixels"));
  const std::string images = folder.Write("e-images", MakeIdx({2, 1, 1}, "12"));
  folder.Write("e-labels", MakeIdx({3}, "123"));
  EXPECT_THAT(ErrorOf(images), AllOf(HasSubstr("e-labels"), HasSubstr("3 labels for 2 images")));
}

TEST(Dataset, GzipIsBoundedAndChecked) {
  const TempFolder folder;
  const std::string bomb = Gzip(MakeIdx({1, 4096, 4096}, std::string(4096 * 4096, 'x')));
  ASSERT_LT(bomb.size(), 50000u);
  const std::string path = folder.Write("bomb.gz", bomb);
  EXPECT_TRUE(Dataset::Open(path).ok());
  const absl::Status status = Dataset::Open(path, {.max_unpacked_bytes = 1 << 20}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(ErrorOf(folder.Write("cut.gz", bomb.substr(0, bomb.size() / 2))), HasSubstr("truncated"));
  std::string damaged = bomb;
  damaged[damaged.size() - 6] ^= 1;  // of the checksum
  EXPECT_THAT(ErrorOf(folder.Write("bad.gz", damaged)), HasSubstr("damaged"));
}

TEST(Dataset, ATarIsInArchiveOrderWithoutLabelsAndInTheirOrderWithThem) {
  const TempFolder folder;
  const std::string tar =
      MakeTar({{"b.png", GreyPng(2, 2, 50)}, {"notes.txt", "hello"}, {"d/a.png", GreyPng(2, 2, 60)}});
  const std::string path = folder.Write("set.tar", tar);
  const absl::StatusOr<Dataset> plain = Dataset::Open(path);
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_THAT(Names(*plain), ElementsAre("b.png", "d/a.png"));
  EXPECT_EQ(FirstPixel(*plain, 0), 50);
  EXPECT_EQ(FirstPixel(*plain, 1), 60);
  EXPECT_FALSE(plain->has_labels());

  folder.Write("set_labels.csv", "file,label\r\na.png,7\r\nb.png,0\r\n");
  const absl::StatusOr<Dataset> labelled = Dataset::Open(path);
  ASSERT_TRUE(labelled.ok()) << labelled.status();
  EXPECT_THAT(Names(*labelled), ElementsAre("d/a.png", "b.png"));
  EXPECT_EQ(labelled->label(0), 7);
  EXPECT_EQ(FirstPixel(*labelled, 0), 60);

  const absl::StatusOr<Dataset> packed = Dataset::Open(folder.Write("set.tar.gz", Gzip(tar)));
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_THAT(Names(*packed), ElementsAre("d/a.png", "b.png"));
}

TEST(Dataset, AFolderIsSortedAndReadAtAnyDepth) {
  const TempFolder folder;
  folder.Write("pictures/z.png", GreyPng(1, 1, 1));
  folder.Write("pictures/sub/deep/a.PNG", GreyPng(1, 1, 2));
  folder.Write("pictures/.hidden.png", "not an image");
  folder.Write("pictures/readme", "text");
  const std::string path = folder.path() + "/pictures/";
  const absl::StatusOr<Dataset> dataset = Dataset::Open(path);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(Names(*dataset), ElementsAre("sub/deep/a.PNG", "z.png"));
  EXPECT_EQ(FirstPixel(*dataset, 0), 2);
  EXPECT_EQ(dataset->Description(), "2 images of a folder, pictures");

  folder.Write("pictures/labels.csv", "z.png,4\n");
  const absl::StatusOr<Dataset> labelled = Dataset::Open(path);
  ASSERT_TRUE(labelled.ok()) << labelled.status();
  EXPECT_THAT(Names(*labelled), ElementsAre("z.png"));
  EXPECT_EQ(labelled->label(0), 4);
}

TEST(Dataset, OneImageFileIsASetOfOne) {
  const TempFolder folder;
  const absl::StatusOr<Dataset> dataset = Dataset::Open(folder.Write("one.png", GreyPng(3, 2, 9)));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->size(), 1);
  EXPECT_EQ(dataset->name(0), "one.png");
  EXPECT_EQ(FirstPixel(*dataset, 0), 9);
}

TEST(Dataset, APngBesideAJpegIsItsLabelMap) {
  const TempFolder folder;
  const std::string path = folder.Write("voc.tar", MakeTar({{"JPEGImages/1.jpg", "?"},
                                                            {"SegmentationClass/1.png", GreyPng(2, 1, 15)},
                                                            {"other/2.png", GreyPng(1, 1, 3)}}));
  const absl::StatusOr<Dataset> dataset = Dataset::Open(path);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(Names(*dataset), ElementsAre("JPEGImages/1.jpg", "other/2.png"));
  EXPECT_TRUE(dataset->has_label_maps());
  EXPECT_THAT(dataset->LoadLabelMap(0)->pixels, ElementsAre(15, 15));
  EXPECT_EQ(dataset->LoadLabelMap(1).status().code(), absl::StatusCode::kNotFound);
}

TEST(Dataset, LabelsThatANetworkHasNoClassForAreRefusedByImage) {
  const TempFolder folder;
  folder.Write("pictures/a.png", GreyPng(1, 1, 1));
  folder.Write("pictures/b.png", GreyPng(1, 1, 1));
  folder.Write("pictures/labels.csv", "a.png,0\nb.png,7\n");
  const absl::StatusOr<Dataset> dataset = Dataset::Open(folder.path() + "/pictures");
  EXPECT_THAT(Dataset::Open(folder.Write("cifar", CifarRecord(9)))->CheckLabels(1000, 0).message(),
              HasSubstr("CIFAR-10 records have 10 classes, but the network has 1000"));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_TRUE(dataset->CheckLabels(8, 0).ok());
  EXPECT_TRUE(dataset->CheckLabels(9, 1).ok());
  EXPECT_THAT(std::string(dataset->CheckLabels(8, 1).message()),
              HasSubstr("b.png: its label is 7, but the network has 7 classes"));
}

TEST(Dataset, LabelErrorsNameFileAndLine) {
  const TempFolder folder;
  const std::string path = folder.Write("s.tar", MakeTar({{"a.png", GreyPng(1, 1, 1)}}));
  const auto with = [&](const std::string& csv) { return ErrorOf(path, {.labels_path = folder.Write("l.csv", csv)}); };
  EXPECT_THAT(with("a.png,1\nb.png,2\n"), AllOf(HasSubstr("l.csv: line 2"), HasSubstr("no image b.png")));
  EXPECT_THAT(with("a.png,1\na.png,1\n"), HasSubstr("line 2: "));
  EXPECT_THAT(with("a.png,1\n\na.png,cat\n"), HasSubstr("line 3: the class is no number: \"cat\""));
  EXPECT_THAT(with("a.png,-1\n"), HasSubstr("line 1: expected a name and a class"));
  EXPECT_THAT(with("a.png\n"), HasSubstr("line 1: expected \"name,class\""));
  EXPECT_THAT(with("name,class\n"), HasSubstr("no labels"));
  EXPECT_EQ(Dataset::Open(path, {.labels_path = folder.path() + "/none.csv"}).status().code(),
            absl::StatusCode::kNotFound);
  const std::string cifar = folder.Write("c.bin", CifarRecord(1));
  EXPECT_THAT(ErrorOf(cifar, {.labels_path = "l.csv"}), HasSubstr("holds its labels itself"));
}

TEST(Dataset, WhatIsNotThereOrHoldsNothing) {
  const TempFolder folder;
  EXPECT_EQ(Dataset::Open(folder.path() + "/missing").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(ErrorOf(folder.path()), HasSubstr("no JPEG or PNG"));
  EXPECT_THAT(ErrorOf(folder.Write("t.tar", MakeTar({{"readme", "x"}}))), HasSubstr("no JPEG or PNG"));
  EXPECT_THAT(ErrorOf(folder.Write("text", "just text")), HasSubstr("expected a CIFAR-10 binary file"));
}

TEST(Dataset, OneBadImageIsNamedAndTheOthersStay) {
  const TempFolder folder;
  const std::string whole = GreyPng(4, 4, 77);
  const std::string path =
      folder.Write("s.tar", MakeTar({{"cut.png", whole.substr(0, whole.size() - 5)}, {"good.png", whole}}));
  const absl::StatusOr<Dataset> dataset = Dataset::Open(path);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_THAT(std::string(dataset->Load(0, ColorOrder::kRgb).status().message()),
              AllOf(HasSubstr("s.tar: cut.png"), HasSubstr("truncated")));
  EXPECT_EQ(FirstPixel(*dataset, 1), 77);
}

}  // namespace
}  // namespace bitstage
