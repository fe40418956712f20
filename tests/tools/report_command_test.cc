#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "engine/format/model_file.h"
#include "engine/tools/command.h"
#include "tests/format/model_samples.h"
#include "tests/support/shared_data.h"
#include "tests/tools/call.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

CallResult Call(const std::vector<std::string>& words) {
  const std::vector<Command> commands = {QuantizeCommand(), ReportCommand()};
  return Call(commands, words);
}

// A ternary convolution of an 8-bit grey image of 2 x 2 pixels.
Model SmallModel() {
  Model model = TinyModel();
  model.graph.value(model.graph.inputs[0]).grid = Grid{};
  model.preprocessing = Preprocessing{.color = ColorOrder::kGray, .width = 2, .height = 2};
  return model;
}

class ReportCommandTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) / "report_command_test" / test->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  [[nodiscard]] std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  [[nodiscard]] std::string Write(const std::string& name, const Model& model) const {
    EXPECT_TRUE(WriteModelFile(model, Path(name)).ok());
    return Path(name);
  }
  [[nodiscard]] std::string Read(const std::string& name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  std::filesystem::path folder_;
};

TEST_F(ReportCommandTest, WithoutImagesItShowsWhatTheFileTells) {
  const std::string model = Write("all <b>&'.bitstage", SmallModel());
  const CallResult result = Call({"report", model, model, "-o", Path("page.html"), "--title", "<i>"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("page.html: 2 models"));
  const std::string page = Read("page.html");
  EXPECT_THAT(page, HasSubstr("all &lt;b&gt;&amp;&#39; (2)"));  // the same file twice: two names
  EXPECT_THAT(page, HasSubstr("<h1>&lt;i&gt;</h1>"));
  EXPECT_THAT(page, HasSubstr("ternary, layer"));
  EXPECT_THAT(page, Not(HasSubstr("<b>&'")));
  EXPECT_THAT(page, Not(HasSubstr(folder_.string())));  // no paths of this machine
}

TEST_F(ReportCommandTest, RefusesBeforeItMeasuresAndLeavesTheOldPage) {
  const std::string model = Write("m.bitstage", SmallModel());
  std::ofstream(Path("page.html")) << "old";
  const auto refused = [&](const std::vector<std::string>& words, int exit_code, const std::string& what) {
    const CallResult result = Call(words);
    EXPECT_EQ(result.exit_code, exit_code);
    EXPECT_THAT(result.err, HasSubstr(what));
  };
  refused({"report", Path("none.bitstage"), "-o", Path("page.html")}, 1, "none.bitstage: cannot open");
  refused({"report", model, "-o", Path("")}, 1, "is a folder");
  refused({"report", model, "-o", Path("no/page.html")}, 1, "its folder does not exist");
  refused({"report", model, "-o", Path("page.html"), "--limit", "5"}, 2, "--limit needs --data");
  refused({"report", model, "-o", Path("page.html"), "--float", model}, 1, "expected the network it was made from");
  refused({"report", model, "-o", Path("page.html"), "--data", Path("none.tar")}, 1, "none.tar");
  EXPECT_EQ(Read("page.html"), "old");
}

TEST_F(ReportCommandTest, SaysThatAFloatNetworkIsNoLowBitModel) {
  const std::string network = BITSTAGE_SHARED_OR_SKIP("data/models/cifar10_resnet8/model.onnx");
  const CallResult result = Call({"report", network, "-o", Path("page.html")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("is a float model, and a report is about low-bit ones: name it with --float"));
}

TEST_F(ReportCommandTest, RefusesModelsOfOtherClassesOnOnePage) {
  const std::string network = BITSTAGE_SHARED_OR_SKIP("data/models/cifar10_resnet8/model.onnx");
  const std::string other = BITSTAGE_SHARED_OR_SKIP("data/models/imagenet_mobilenet_v1_0.25_224/model.onnx");
  const std::string images = BITSTAGE_SHARED_OR_SKIP("data/cifar10/test_batch_first800.bin");
  ASSERT_EQ(Call({"quantize", network, "--calibration", images, "--images", "8", "--weights", "uniform:8", "-o",
                  Path("m.bitstage")})
                .exit_code,
            0);
  const CallResult result =
      Call({"report", Path("m.bitstage"), "-o", Path("page.html"), "--data", images, "--limit", "4", "--float", other});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("tells 10 classes apart, the others 1000"));
}

}  // namespace
}  // namespace bitstage
