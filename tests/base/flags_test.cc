#include "engine/base/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<Flag> kFlags = {{.name = "output", .letter = 'o', .value = "FILE"},
                                  {.name = "image", .value = "FILE", .many = true},
                                  {.name = "limit", .value = "N"},
                                  {.name = "json"}};

absl::StatusOr<Arguments> Parse(const std::vector<std::string>& words) { return Arguments::Parse(kFlags, words); }

TEST(FlagsTest, TakesEverySpellingOfAValue) {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"net", "-o", "out"}, {"net", "--output", "out"}, {"--output=out", "net"}}) {
    const absl::StatusOr<Arguments> arguments = Parse(words);
    ASSERT_TRUE(arguments.ok()) << arguments.status();
    EXPECT_EQ(arguments->Get("output"), "out");
    EXPECT_THAT(arguments->positional(), ElementsAre("net"));
    EXPECT_FALSE(arguments->Has("json"));
  }
}

TEST(FlagsTest, GathersManyValuesUpToTheNextFlagAndOverRepetitions) {
  const absl::StatusOr<Arguments> arguments = Parse({"m", "--image", "a", "b", "--json", "--image=c"});
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_THAT(arguments->All("image"), ElementsAre("a", "b", "c"));
  EXPECT_TRUE(arguments->Has("json"));
  EXPECT_THAT(arguments->All("limit"), IsEmpty());
}

TEST(FlagsTest, TakesDashesAfterTheDoubleDashAsWords) {
  const absl::StatusOr<Arguments> arguments = Parse({"--json", "--", "--image", "-"});
  ASSERT_TRUE(arguments.ok()) << arguments.status();
  EXPECT_THAT(arguments->positional(), ElementsAre("--image", "-"));
}

TEST(FlagsTest, RefusesWithAUsageErrorThatNamesTheFlag) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--jsn"}, "unknown flag --jsn"},
      {{"-x"}, "unknown flag -x"},
      {{"-out", "f"}, "unknown flag -out"},
      {{"--json=1"}, "--json takes no value"},
      {{"-o"}, "-o needs a value: FILE"},
      {{"-o", "a", "--output=b"}, "--output is given twice"},
      {{"--json", "--json"}, "--json is given twice"}};
  for (const auto& [words, message] : cases) {
    const absl::Status status = Parse(words).status();
    EXPECT_TRUE(IsUsageError(status)) << message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
  const std::vector<Flag> required = {{.name = "output", .letter = 'o', .value = "FILE", .required = true}};
  const absl::Status status = Arguments::Parse(required, {}).status();
  EXPECT_TRUE(IsUsageError(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("--output FILE is missing"));
}

TEST(FlagsTest, ChecksNumbersAndTheirRange) {
  EXPECT_EQ(Parse({"--limit", "7"})->Int("limit", 1, 1, 9).value(), 7);
  EXPECT_EQ(Parse({})->Int("limit", 1, 1, 9).value(), 1);
  EXPECT_EQ(Parse({"--limit", "2.5"})->Number("limit", 1, 0, 9).value(), 2.5);
  for (const std::string value : {"0", "10", "7x", "", "nan", "99999999999999999999"}) {
    const absl::StatusOr<Arguments> arguments = Parse({"--limit", value});
    EXPECT_TRUE(IsUsageError(arguments->Int("limit", 1, 1, 9).status())) << value;
    EXPECT_TRUE(IsUsageError(arguments->Number("limit", 1, 1, 9).status())) << value;
  }
}

TEST(FlagsTest, RecordsTheWordsWithoutFolders) {
  EXPECT_EQ(Parse({"/home/x/net.onnx", "-o", "../out/net.bitstage", "--image=a/b.png", "data/"})->recorded(),
            "net.onnx -o net.bitstage --image=b.png data");
}

}  // namespace
}  // namespace bitstage
