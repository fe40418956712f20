#include "engine/base/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace bitstage {
namespace {

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(AtomicFile, ReplacesTheOldContent) {
  const std::string path = testing::TempDir() + "/atomic_file_replaces";
  ASSERT_TRUE(WriteFileAtomically(Bytes("old and longer"), path).ok());
  ASSERT_TRUE(WriteFileAtomically(Bytes("new"), path).ok());
  EXPECT_EQ(Content(path), "new");
}

// A limit on the size of files stands in for a full disk: writing goes well for some bytes and then fails.
TEST(AtomicFile, WhereWritingStopsHalfwayTheOldFileStaysAndNothingElse) {
  const std::string folder = testing::TempDir() + "/atomic_file_full";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/kept";
  ASSERT_TRUE(WriteFileAtomically(Bytes("kept"), path).ok());
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit low{.rlim_cur = 1000, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  const absl::Status status = WriteFileAtomically(Bytes(std::string(5000, 'x')), path);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(path));
  EXPECT_EQ(Content(path), "kept");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

}  // namespace
}  // namespace bitstage
