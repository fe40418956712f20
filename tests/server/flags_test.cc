#include "server/main/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bitstage::server {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<ServerFlags> Parse(const std::vector<std::string>& words) { return ParseFlags(words); }

void ExpectRefused(const std::vector<std::string>& words, const std::string& text) {
  const absl::Status status = Parse(words).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr(text));
}

TEST(ServerFlags, TakesValuesBesideAndBehindAnEqualsSign) {
  const auto flags = Parse({"--model-repository", "models", "--grpc-port=0", "--max-batch", "16"});
  ASSERT_TRUE(flags.ok()) << flags.status();
  EXPECT_EQ(flags->model_repository, "models");
  EXPECT_EQ(flags->grpc_port, 0);
  EXPECT_EQ(flags->max_batch, 16);
  EXPECT_EQ(flags->metrics_port, 8002) << "the default";
}

TEST(ServerFlags, RefusesWhatItDoesNotKnow) {
  ExpectRefused({"--model-repository", "m", "--grpc_port", "1"}, "unknown flag --grpc_port");
  ExpectRefused({"models"}, "\"models\" is no flag");
}

TEST(ServerFlags, RefusesNumbersThatAreNoneOrOutOfRange) {
  ExpectRefused({"--grpc-port", "http"}, "--grpc-port is 'http', expected a whole number from 0 to 65535");
  ExpectRefused({"--grpc-port", "65536"}, "--grpc-port is '65536'");
  ExpectRefused({"--max-batch", "0"}, "expected a whole number from 1");
  ExpectRefused({"--queue-size", "99999999999999999999999"}, "--queue-size is '99999999999999999999999'");
}

TEST(ServerFlags, RefusesAMissingValueAndASwitchWithOne) {
  ExpectRefused({"--model-repository"}, "--model-repository needs a value: DIR");
  ExpectRefused({"--help=yes"}, "--help takes no value");
}

TEST(ServerFlags, WantsAnAddressOfTheNextStage) {
  for (const char* good : {"stage1:9001", "10.0.0.7:1", "[::1]:65535"}) {
    const auto flags = Parse({"--model-repository", "m", "--stage", "--next-stage", good});
    ASSERT_TRUE(flags.ok()) << flags.status();
    EXPECT_EQ(flags->next_stage, good);
    EXPECT_TRUE(flags->stage);
  }
  for (const char* bad : {"stage1", "stage1:", ":9001", "stage1:0", "stage1:65536", "stage1:grpc"}) {
    ExpectRefused({"--model-repository", "m", "--next-stage", bad}, "--next-stage takes HOST:PORT, not \"");
  }
}

TEST(ServerFlags, TakesTheFrameCodingsOfTheFormat) {
  EXPECT_EQ(Parse({"--model-repository", "m", "--frame-coding", "contexts"})->frame_coding, "contexts");
  ExpectRefused({"--model-repository", "m", "--frame-coding", "gzip"},
                "--frame-coding: frame coding \"gzip\" is none of preferred, stored, plain, inline, contexts, split");
}

TEST(ServerFlags, WantsARepositoryUnlessAskedForHelp) {
  ExpectRefused({}, "--model-repository DIR is missing");
  EXPECT_TRUE(Parse({"--help"}).ok());
}

TEST(ServerFlags, HelpNamesEveryFlagWithItsDefault) {
  const std::string help = FlagsHelp();
  EXPECT_THAT(help, HasSubstr("--drain-delay-ms N"));
  EXPECT_THAT(help, HasSubstr("[8001]"));
}

}  // namespace
}  // namespace bitstage::server
