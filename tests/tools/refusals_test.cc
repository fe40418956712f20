// What quantize refuses about the images they are given, in words that help, and that nothing is lost by it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "engine/format/model_file.h"
#include "engine/tools/command.h"
#include "tests/graph/graph_builder.h"
#include "tests/tools/call.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;

constexpr int kCifarPixels = 3072;

class ImageRefusalsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) / "image_refusals_test" / test->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    GraphBuilder build;
    const ValueId x = build.Input({1, 2, 2});
    Conv conv;
    conv.window.kernel = {2, 2};
    conv.weights = build.Constant({2, 1, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
    Model model;
    model.name = "float";
    model.graph = build.Finish({build.Add(conv, {x})});
    model.preprocessing = Preprocessing{.color = ColorOrder::kGray, .width = 2, .height = 2};
    network_ = Path("network.bitstage");
    ASSERT_TRUE(WriteModelFile(model, network_).ok());
    std::ofstream(Path("old.bitstage")) << "old";
  }
  [[nodiscard]] std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  void WriteCifar(const std::string& name, int images) const {
    std::ofstream file(Path(name), std::ios::binary);
    for (int i = 0; i < images; ++i) file << std::string(1 + kCifarPixels, static_cast<char>(i % 10));
  }
  void ExpectRefused(const std::vector<std::string>& words, const std::string& what) const {
    const CallResult result = Call({QuantizeCommand()}, words);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_THAT(result.err, HasSubstr(what));
    std::ifstream old(Path("old.bitstage"), std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(old), {}), "old");
  }

  std::filesystem::path folder_;
  std::string network_;
};

TEST_F(ImageRefusalsTest, FewerImagesThanCalibrationNeedsOrIsTold) {
  WriteCifar("ten.bin", 10);
  ExpectRefused({"quantize", network_, "--calibration", Path("ten.bin"), "-o", Path("old.bitstage")},
                "10 images are too few, expected at least 16 (or fewer by --images)");
  ExpectRefused({"quantize", network_, "--calibration", Path("ten.bin"), "--images", "11", "-o", Path("old.bitstage")},
                "10 images are too few, expected the 11 of --images");
}

TEST_F(ImageRefusalsTest, AFolderWithoutAnImageThatCanBeRead) {
  ExpectRefused({"quantize", network_, "--calibration", folder_.string(), "-o", Path("old.bitstage")},
                "no JPEG or PNG images");
  for (int i = 0; i < 16; ++i) std::ofstream(Path(std::to_string(10 + i) + ".jpg")) << "not a JPEG";
  ExpectRefused({"quantize", network_, "--calibration", folder_.string(), "-o", Path("old.bitstage")},
                "10.jpg: image: neither PNG nor JPEG");
}

}  // namespace
}  // namespace bitstage
