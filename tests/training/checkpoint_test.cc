#include "engine/training/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "engine/base/crc32c.h"

namespace bitstage {
namespace {

using testing::HasSubstr;

Checkpoint Sample() {
  return {.identity = std::string(32, 'i'),
          .step = 7,
          .loss = 0.1,
          .best = 0.9,
          .best_step = 5,
          .options = "batch 32\n",
          .arrays = {{"conv/weights", {1.5f, -2.0f, 0.0f}}, {"conv/alphas", {}}}};
}

absl::StatusOr<Checkpoint> Parse(const std::string& bytes) { return ParseCheckpoint(std::as_bytes(std::span(bytes))); }

// With a checksum that fits again.
std::string Signed(std::string bytes) {
  bytes.resize(bytes.size() - 4);
  const uint32_t crc = Crc32c(std::as_bytes(std::span(bytes)));
  bytes.append(reinterpret_cast<const char*>(&crc), 4);
  return bytes;
}

TEST(Checkpoint, ComesBackAsItWasWritten) {
  const std::string bytes = SerializeCheckpoint(Sample());
  const absl::StatusOr<Checkpoint> read = Parse(bytes);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->identity, Sample().identity);
  EXPECT_EQ(read->step, 7);
  EXPECT_EQ(read->loss, 0.1);
  EXPECT_EQ(read->options, "batch 32\n");
  ASSERT_EQ(read->arrays.size(), 2u);
  EXPECT_EQ(read->arrays[0].name, "conv/weights");
  EXPECT_EQ(read->arrays[0].values, Sample().arrays[0].values);
  EXPECT_EQ(SerializeCheckpoint(*read), bytes);
}

TEST(Checkpoint, EveryTruncationAndEveryFlippedByteIsRefused) {
  const std::string bytes = SerializeCheckpoint(Sample());
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(Parse(bytes.substr(0, size)).ok()) << size;
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_FALSE(Parse(damaged).ok()) << i;
  }
}

TEST(Checkpoint, ForeignFilesAreCalledThat) {
  const absl::Status status = Parse("PK\3\4 something else altogether").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not a training checkpoint"));
}

// Lengths that lie under a right checksum ask for no memory.
TEST(Checkpoint, LyingLengthsAreRefusedByField) {
  const std::string bytes = SerializeCheckpoint(Sample());
  const size_t values = bytes.find("conv/weights") + 12;
  std::string huge = bytes;
  const uint64_t count = uint64_t{1} << 62;
  std::memcpy(huge.data() + values, &count, sizeof(count));
  const absl::Status status = Parse(Signed(huge)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("conv/weights"));
  const absl::Status trailing = Parse(Signed(bytes + "abcd")).status();
  EXPECT_THAT(std::string(trailing.message()), HasSubstr("after the last array"));
}

TEST(Checkpoint, ErrorsNameTheFile) {
  EXPECT_THAT(std::string(ReadCheckpoint("/nowhere/run.checkpoint").status().message()),
              HasSubstr("/nowhere/run.checkpoint"));
}

}  // namespace
}  // namespace bitstage
