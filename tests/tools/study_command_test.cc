// The verb study, from its words to its tables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/format/model_file.h"
#include "engine/tools/command.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Result {
  int exit_code = 0;
  std::string out;
  std::string err;
};

Result Study(std::vector<std::string> words) {
  words.insert(words.begin(), "study");
  std::ostringstream out;
  std::ostringstream err;
  Console console{.out = out, .err = err};
  const std::vector<Command> commands = {StudyCommand()};
  const int exit_code = RunProgram(commands, words, console);
  return {exit_code, out.str(), err.str()};
}

// Says which k of 0 … 9 the mean of its three channels over 25 is nearest to: 2kx − k² is largest there.
Model NearestTenth() {
  GraphBuilder build;
  const ValueId x = build.Input({3, 32, 32});
  Conv mix;
  mix.window.kernel = {1, 1};
  mix.weights = build.Constant({3, 3, 1, 1}, {0.8f, 0.15f, 0.05f, 0.05f, 0.8f, 0.15f, 0.15f, 0.05f, 0.8f});
  FullyConnected nearest;
  std::vector<float> slopes;
  std::vector<float> squares;
  for (int k = 0; k < 10; ++k) {
    slopes.insert(slopes.end(), 3, 2.0f * static_cast<float>(k) / 75);
    squares.push_back(static_cast<float>(-k * k));
  }
  nearest.weights = build.Constant({10, 3}, slopes);
  nearest.bias = build.Constant({10}, squares);
  Model model;
  model.name = "nearest";
  const ValueId pooled = build.Add(GlobalAveragePool{.keep_dims = false}, {build.Add(mix, {x})});
  model.graph = build.Finish({build.Add(nearest, {pooled})});
  model.preprocessing = Preprocessing{.width = 32, .height = 32};
  return model;
}

TEST(StudyCommand, WantsEitherSchemesOrWidths) {
  const std::vector<std::string> words = {"n.onnx", "--calibration", "c.bin", "--data", "d.bin"};
  for (const std::vector<std::string>& experiments :
       {std::vector<std::string>{}, {"--adaptive", "--schemes", "direct:3"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), experiments.begin(), experiments.end());
    const Result result = Study(all);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("either --schemes or --adaptive"));
  }
}

TEST(StudyCommand, ComparesWidthsByTheAdaptiveMethodWithEqualOnes) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / "study_command_test";
  std::filesystem::create_directories(folder);
  const std::string network = (folder / "network.bitstage").string();
  const std::string images = (folder / "images.bin").string();
  ASSERT_TRUE(WriteModelFile(NearestTenth(), network).ok());
  std::ofstream file(images, std::ios::binary);
  for (int i = 0; i < 20; ++i) file << static_cast<char>(i % 10) << std::string(3072, static_cast<char>(i % 10 * 25));
  file.close();
  const Result result = Study({network, "--calibration", images, "--data", images, "--adaptive", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("nearest: 2 layers, 20 images, 20 calibration images, seed 0"),
                    HasSubstr("| float | 32 | 0 | 100.00 | 100.00 | 0 / 0 |"), HasSubstr("| equal | 2.00 |"),
                    HasSubstr("| equal | 10.00 |"), HasSubstr("| adaptive | "), HasSubstr("| SQNR | "),
                    HasSubstr("adaptive saves "), HasSubstr("agreement at least"), HasSubstr("\"widths\"")));
}

}  // namespace
}  // namespace bitstage
