#include "engine/data/tar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/data/temp_folder.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;

std::span<const std::byte> AsBytes(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string Content(const FileRef& file) {
  return {reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()};
}

TEST(ListTar, ListsRegularFilesOnly) {
  const std::string tar =
      MakeTar({{"folder/", "", '5'}, {"folder/a", "hello"}, {"link", "", '2'}, {"b", std::string(513, 'b')}});
  ASSERT_TRUE(LooksLikeTar(AsBytes(tar)));
  const absl::StatusOr<std::vector<FileRef>> files = ListTar(AsBytes(tar));
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].name, "folder/a");
  EXPECT_EQ(Content((*files)[0]), "hello");
  EXPECT_EQ((*files)[1].name, "b");
  EXPECT_EQ(Content((*files)[1]), std::string(513, 'b'));
}

TEST(ListTar, TakesLongNamesOfGnuAndPax) {
  const std::string long_name = "folder/" + std::string(150, 'n') + ".png";
  const std::string record = "path=" + long_name + "\n";
  const std::string pax = std::to_string(record.size() + 4) + " " + record;  // three digits and a blank
  const std::string tar = MakeTar({{"././@LongLink", long_name + std::string(1, '\0'), 'L'},
                                   {"short", "1"},
                                   {"header", pax, 'x'},
                                   {"short", "2"},
                                   {"short", "3"}});
  const absl::StatusOr<std::vector<FileRef>> files = ListTar(AsBytes(tar));
  ASSERT_TRUE(files.ok()) << files.status();
  ASSERT_EQ(files->size(), 3u);
  EXPECT_EQ((*files)[0].name, long_name);
  EXPECT_EQ((*files)[1].name, long_name);
  EXPECT_EQ((*files)[2].name, "short");
}

TEST(ListTar, RefusesATruncatedMember) {
  const std::string tar = MakeTar({{"a", "1"}, {"b", std::string(2000, 'b')}});
  const absl::Status status = ListTar(AsBytes(tar.substr(0, 2048))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the member at byte 1024 has 2000 bytes, 512 are left"));
}

TEST(ListTar, RefusesDamagedHeaders) {
  const std::string tar = MakeTar({{"a", "1"}, {"b", "2"}});
  for (const size_t offset : {0, 100, 130, 148, 156, 400}) {
    std::string damaged = tar;
    damaged[1024 + offset] ^= 1;
    EXPECT_THAT(std::string(ListTar(AsBytes(damaged)).status().message()), HasSubstr("damaged header at byte 1024"))
        << "byte " << offset;
  }
}

TEST(ListTar, SurvivesEveryTruncation) {
  const std::string tar = MakeTar({{"a", "1"}, {"x", "30 path=", 'x'}, {"b", std::string(700, 'b')}});
  for (size_t size = 0; size <= tar.size(); ++size) {
    const std::string cut = tar.substr(0, size);
    const absl::StatusOr<std::vector<FileRef>> files = ListTar(AsBytes(cut));
    if (files.ok()) {
      EXPECT_LE(files->size(), 2u);
    }
  }
}

TEST(LooksLikeTar, NotWithoutARightChecksum) {
  std::string tar = MakeTar({{"a", "1"}});
  tar[3] ^= 1;
  EXPECT_FALSE(LooksLikeTar(AsBytes(tar)));
  EXPECT_FALSE(LooksLikeTar(AsBytes(std::string(1024, '\0'))));
  EXPECT_FALSE(LooksLikeTar({}));
}

}  // namespace
}  // namespace bitstage
