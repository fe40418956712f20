#include "server/repository/model_repository.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "tests/server/repository_folder.h"

namespace bitstage::server {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ModelRepositoryTest : public testing::Test {
 protected:
  // A loader that looks at the name alone.
  absl::StatusOr<std::shared_ptr<ServedModel>> Load(const std::string& name, int64_t version) {
    const std::string key = absl::StrCat(name, "/", version);
    const MutexLock lock(mutex_);
    loads_.push_back(key);
    if (broken_.count(key) != 0) return absl::DataLossError("section GRAPH: bad checksum");
    ModelInterface interface;
    interface.name = name;
    interface.version = std::to_string(version);
    return std::make_shared<ServedModel>(interface, ModelMemory{}, nullptr, nullptr);
  }
  void Sync() {
    const auto ignored = repository_.Sync();
    ASSERT_TRUE(ignored.ok()) << ignored.status();
  }
  std::string Found(const std::string& name, std::optional<int64_t> version = std::nullopt) {
    const auto model = repository_.Find(name, version);
    return model.ok() ? (*model)->interface().version : model.status().ToString();
  }

  RepositoryFolder folder_;
  Mutex mutex_;
  std::set<std::string> broken_;
  std::vector<std::string> loads_;
  std::vector<std::string> events_;
  ModelRepository repository_{
      folder_.path(),
      [this](const std::string&, const std::string& name, int64_t version) { return Load(name, version); },
      /*load_threads=*/2,
      [this](const ModelEvent& event) {
        const char* kinds[] = {"loading", "ready", "failed", "unloaded"};
        const MutexLock lock(mutex_);
        events_.push_back(absl::StrCat(kinds[static_cast<int>(event.kind)], " ", event.name, "/", event.version));
      }};
};

TEST_F(ModelRepositoryTest, LoadsTheHighestVersionOfEveryModel) {
  folder_.Write("a/1/model.bitstage");
  folder_.Write("a/2/model.bitstage");
  folder_.Write("b/7/model.bitstage");
  Sync();
  EXPECT_EQ(Found("a"), "2");
  EXPECT_EQ(Found("b"), "7");
  EXPECT_EQ(Found("b", 7), "7");
  EXPECT_THAT(repository_.ReadyVersions("a"), ElementsAre(2));
  EXPECT_EQ(repository_.Count().ready, 2);
}

TEST_F(ModelRepositoryTest, UnknownModelsAndVersionsAreNotFoundInTheWordsClientsKnow) {
  folder_.Write("a/1/model.bitstage");
  Sync();
  EXPECT_EQ(Found("z"), "NOT_FOUND: Request for unknown model: 'z' is not found");
  EXPECT_EQ(Found("a", 3), "NOT_FOUND: Request for unknown model: 'a' version 3 is not found");
  EXPECT_THAT(Found(std::string("a\0", 2)), HasSubstr("'a\\x00' is not found")) << "names are compared whole";
}

TEST_F(ModelRepositoryTest, AModelThatFailsIsReportedAndStopsNobody) {
  folder_.Write("bad/1/model.bitstage");
  folder_.Write("good/1/model.bitstage");
  broken_ = {"bad/1"};
  Sync();
  EXPECT_EQ(Found("good"), "1");
  EXPECT_THAT(Found("bad"), HasSubstr("NOT_FOUND: Request for unknown model: 'bad' has no available versions: failed "
                                      "to load 'bad' version 1: section GRAPH: bad checksum"));
  EXPECT_EQ(repository_.Count().failed, 1);
  EXPECT_THAT(events_,
              testing::UnorderedElementsAre("loading bad/1", "loading good/1", "failed bad/1", "ready good/1"));
}

TEST_F(ModelRepositoryTest, TheIndexNamesEveryVersionWithItsStateAndWhyItFailed) {
  folder_.Write("good/3/model.bitstage");
  folder_.Write("bad/1/model.bitstage");
  broken_.insert("bad/1");
  Sync();
  const std::vector<ModelRepository::IndexEntry> index = repository_.Index();
  ASSERT_EQ(index.size(), 2u);
  EXPECT_EQ(index[0].name, "bad");
  EXPECT_EQ(index[0].state, VersionState::kFailed);
  EXPECT_THAT(std::string(index[0].status.message()), HasSubstr("bad checksum"));
  EXPECT_EQ(index[1].name, "good");
  EXPECT_EQ(index[1].version, 3);
  EXPECT_EQ(index[1].state, VersionState::kReady);
}

TEST_F(ModelRepositoryTest, AFolderWithoutAVersionIsAModelThatDoesNotServe) {
  folder_.Write("a/readme.txt");
  Sync();
  EXPECT_EQ(Found("a"), "NOT_FOUND: Request for unknown model: 'a' has no available versions");
}

TEST_F(ModelRepositoryTest, AMissingFileIsAFailureOfThatVersion) {
  folder_.Write("a/1/another.file");
  Sync();
  EXPECT_THAT(Found("a"), HasSubstr("failed to load 'a' version 1"));
  EXPECT_THAT(loads_, IsEmpty());
}

TEST_F(ModelRepositoryTest, ANewVersionTakesOverOnlyWhenItIsReady) {
  folder_.Write("a/1/model.bitstage");
  Sync();
  folder_.Write("a/2/model.bitstage");
  broken_ = {"a/2"};
  Sync();
  EXPECT_EQ(Found("a"), "1") << "the new one failed: the old one serves on";
  Sync();
  EXPECT_THAT(loads_, ElementsAre("a/1", "a/2", "a/2")) << "and every call tries again";
  broken_ = {};
  const auto in_use = repository_.Find("a", std::nullopt);
  Sync();
  EXPECT_EQ(Found("a"), "2");
  EXPECT_EQ(Found("a", 1), "NOT_FOUND: Request for unknown model: 'a' version 1 is not found");
  EXPECT_EQ((*in_use)->interface().version, "1") << "who holds the old one keeps it";
  EXPECT_EQ(events_.back(), "unloaded a/1");
}

TEST_F(ModelRepositoryTest, AModelThatWasRemovedFromDiskGoes) {
  folder_.Write("a/1/model.bitstage");
  Sync();
  std::filesystem::remove_all(folder_ / "a");
  Sync();
  EXPECT_EQ(Found("a"), "NOT_FOUND: Request for unknown model: 'a' is not found");
}

}  // namespace
}  // namespace bitstage::server
