#include "engine/tools/command.h"
#include "tests/tools/call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace bitstage {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

absl::Status Greet(const Arguments& arguments, Console& console) {
  const std::string name = arguments.positional()[0];
  if (name == "nobody") return absl::NotFoundError("nobody is here");
  if (name == "?") return UsageError("that is no name");
  console.out << "hello " << name << (arguments.Has("loud") ? "!" : "") << "\n";
  return absl::OkStatus();
}

CallResult Call(const std::vector<std::string>& words) {
  const std::vector<Command> commands = {{.name = "greet",
                                          .synopsis = "NAME [--loud]",
                                          .summary = "Say hello.",
                                          .flags = {{.name = "loud", .help = "with emphasis"}},
                                          .min_positional = 1,
                                          .max_positional = 1,
                                          .run = Greet}};
  return Call(commands, words);
}

TEST(CommandTest, RunsTheVerbWithItsArguments) {
  const CallResult result = Call({"greet", "Ada", "--loud"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "hello Ada!\n");
  EXPECT_THAT(result.err, IsEmpty());
}

TEST(CommandTest, FailsWithOneAndTheVerbsMessage) {
  const CallResult result = Call({"greet", "nobody"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "bitstage-model greet: nobody is here\n");
}

TEST(CommandTest, EndsWithTwoAndTheUsageOnBadArguments) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"greet"}, {"greet", "a", "b"}, {"greet", "a", "--quiet"}, {"greet", "?"}}) {
    const CallResult result = Call(words);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err,
                AllOf(StartsWith("bitstage-model greet: "), HasSubstr("usage: bitstage-model greet NAME [--loud]")));
    EXPECT_THAT(result.out, IsEmpty());
  }
}

TEST(CommandTest, EndsWithTwoAndTheVerbsOnAnUnknownVerbOrNone) {
  EXPECT_EQ(Call({}).exit_code, 2);
  const CallResult result = Call({"sing"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, AllOf(HasSubstr("unknown verb 'sing'"), HasSubstr("greet      Say hello.")));
}

TEST(CommandTest, HelpsOnStandardOutputWithExitCodeZero) {
  EXPECT_THAT(Call({"--help"}).out, HasSubstr("greet      Say hello."));
  const CallResult result = Call({"greet", "--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("usage: bitstage-model greet NAME [--loud]"), HasSubstr("      --loud  with emphasis")));
  EXPECT_EQ(Call({"--version"}).out, "bitstage-model " + std::string(ToolVersion()) + "\n");
}

}  // namespace
}  // namespace bitstage
