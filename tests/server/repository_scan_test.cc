#include "server/repository/repository_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/repository_folder.h"

namespace bitstage::server {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(RepositoryScan, ModelNamesAreShortAndHarmless) {
  for (const char* name : {"resnet-18", "a", "A.b_c-9"}) EXPECT_TRUE(IsModelName(name)) << name;
  EXPECT_TRUE(IsModelName(std::string(64, 'n')));
  for (const char* name : {"", ".", "..", ".hidden", "a/b", "a b", "\xc3\xa4", "a\n"}) {
    EXPECT_FALSE(IsModelName(name)) << name;
  }
  EXPECT_FALSE(IsModelName(std::string(65, 'n')));
  EXPECT_FALSE(IsModelName(absl::string_view("a\0", 2)));
}

TEST(RepositoryScan, VersionsAreDecimalDigitsAlone) {
  EXPECT_EQ(ParseVersion("1"), 1);
  EXPECT_EQ(ParseVersion("9223372036854775807"), INT64_MAX);
  for (const char* text : {"", "0", "01", "+1", "-1", " 1", "1 ", "1x", "1.0", "9223372036854775808", "\xd9\xa1"}) {
    EXPECT_EQ(ParseVersion(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseVersion(absl::string_view("1\0", 2)), std::nullopt);
}

TEST(RepositoryScan, ListsModelsAndVersionsAndSaysWhatItPassedOver) {
  RepositoryFolder folder;
  folder.Write("resnet/2/model.bitstage");
  folder.Write("resnet/10/model.bitstage");
  folder.Write("resnet/01/model.bitstage");
  folder.Write("no model/1/model.bitstage");
  folder.Write("notes.txt");
  folder.Write(".git/1/model.bitstage");
  fs::create_directories(folder / "empty");
  const absl::StatusOr<RepositoryListing> listing = ScanRepository(folder.path());
  ASSERT_TRUE(listing.ok()) << listing.status();
  ASSERT_EQ(listing->models.size(), 2u);
  EXPECT_EQ(listing->models[0].name, "empty");
  EXPECT_THAT(listing->models[0].versions, ElementsAre());
  EXPECT_EQ(listing->models[1].name, "resnet");
  EXPECT_THAT(listing->models[1].versions, ElementsAre(2, 10));
  EXPECT_EQ(listing->ignored.size(), 2u) << "a file is no mistake";
  EXPECT_THAT(listing->ignored, Contains(HasSubstr("leading zeros")));
  EXPECT_THAT(listing->ignored, Contains(HasSubstr("is no model")));
}

TEST(RepositoryScan, AFolderThatIsNotThereIsAnError) {
  RepositoryFolder folder;
  EXPECT_TRUE(absl::IsNotFound(ScanRepository(folder.path() + "/absent").status()));
  EXPECT_TRUE(absl::IsNotFound(ScanRepository(std::string(5000, 'n')).status())) << "a name that no file may have";
}

TEST(RepositoryScan, LinksWithinTheRepositoryAreFollowedAndThoseThatLeadOutAreRefused) {
  RepositoryFolder folder;
  RepositoryFolder elsewhere;
  elsewhere.Write("model.bitstage");
  folder.Write("data/one/model.bitstage");
  folder.Write("inside/1/unused");
  folder.Write("outside/1/unused");
  fs::create_symlink("../../data/one/model.bitstage", folder / "inside/1/model.bitstage");
  fs::create_symlink(elsewhere / "model.bitstage", folder / "outside/1/model.bitstage");
  fs::create_directory_symlink(elsewhere.path(), folder / "outside/2");
  EXPECT_TRUE(ModelFilePath(folder.path(), "inside", 1).ok());
  for (const int64_t version : {1, 2}) {
    const absl::Status refused = ModelFilePath(folder.path(), "outside", version).status();
    EXPECT_TRUE(absl::IsPermissionDenied(refused)) << refused;
  }
  EXPECT_TRUE(absl::IsNotFound(ModelFilePath(folder.path(), "inside", 2).status()));
}

}  // namespace
}  // namespace bitstage::server
