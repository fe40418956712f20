#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "engine/format/model_file.h"
#include "engine/tools/command.h"
#include "engine/tools/load_model.h"
#include "engine/tools/model_summary.h"
#include "tests/format/model_samples.h"
#include "tests/support/shared_data.h"
#include "tests/tools/call.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

CallResult Call(const std::vector<std::string>& words) {
  const std::vector<Command> commands = {ImportCommand(), InspectCommand()};
  return Call(commands, words);
}

nlohmann::json LastLine(const std::string& text) {
  const size_t end = text.find_last_not_of('\n');
  const size_t begin = text.rfind('\n', end);
  return nlohmann::json::parse(text.substr(begin == std::string::npos ? 0 : begin + 1, end + 1));
}

class InspectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) / "inspect_test" / test->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  [[nodiscard]] std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  [[nodiscard]] std::string Write(const std::string& name, const std::string& contents) const {
    std::ofstream(Path(name), std::ios::binary) << contents;
    return Path(name);
  }

  std::filesystem::path folder_;
};

TEST_F(InspectTest, CountsTheTinyModelByHand) {
  const ModelSummary summary = Summarize(TinyModel());
  ASSERT_EQ(summary.layers.size(), 1u);
  const LayerSummary& layer = summary.layers[0];
  EXPECT_EQ(layer.op, "Conv 2x2");
  EXPECT_EQ(layer.bits, 1.6);
  EXPECT_EQ(layer.codebook, "ternary");
  EXPECT_EQ(layer.scale, "layer");
  EXPECT_EQ(layer.activation, "float");
  EXPECT_EQ(layer.bytes, 2 + 4 + 8);  // 8 codes, a scale, two biases
  EXPECT_EQ(layer.macs, 8);
  EXPECT_EQ(summary.parameters, 10);
  EXPECT_EQ(summary.weights, 8);
  EXPECT_EQ(summary.bits_per_weight, 8.0 * (2 + 4) / 8);
  EXPECT_EQ(summary.float32_bytes, 40);
  EXPECT_EQ(summary.int8_bytes, 8 + 2 * 4 + 8);
}

TEST_F(InspectTest, NamesTheCodesOfAMixedModelByTheLayersThatHaveThem) {
  EXPECT_EQ(DescribeCodes(Summarize(TinyModel()).codes), "1 layer ternary (a scale a layer)");
  EXPECT_EQ(DescribeCodes({{.codebook = "uniform", .scale = "channel", .layers = 14, .least_bits = 2, .most_bits = 8},
                           {.codebook = "binary", .scale = "pixel", .layers = 1, .least_bits = 1, .most_bits = 1},
                           {.codebook = "uniform", .scale = "layer", .layers = 2, .least_bits = 4, .most_bits = 4},
                           {.codebook = "float32", .scale = "", .layers = 1}}),
            "14 layers uniform (2 to 8 bits, a scale a channel), 1 layer binary (a scale a pixel), "
            "2 layers uniform (4 bits, a scale a layer), 1 layer float32");
}

TEST_F(InspectTest, DescribesGridsInAFewWords) {
  EXPECT_EQ(DescribeGrid(std::nullopt), "float");
  EXPECT_EQ(DescribeGrid(Grid{.bits = {4}}), "4 bits");
  EXPECT_EQ(DescribeGrid(Grid{.bits = {1}}), "1 bit");
  EXPECT_EQ(DescribeGrid(Grid{.bits = {4, 6, 4}, .shift = {2, 0, 2}}), "4+2 bits");
  EXPECT_EQ(DescribeGrid(Grid{.zero_point = 128, .bits = {8}}), "8 bits signed");
}

TEST_F(InspectTest, PrintsOneJsonObjectWithTheLayers) {
  const std::string path = Path("m.bitstage");
  const Model model = ModelWithEverything(3);
  ASSERT_TRUE(WriteModelFile(model, path).ok());
  const CallResult result = Call({"inspect", path, "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json json = LastLine(result.out);
  EXPECT_EQ(json["file_bytes"], std::filesystem::file_size(path));
  EXPECT_EQ(json["bits_per_weight"], Summarize(model).bits_per_weight);
  ASSERT_EQ(json["layers"].size(), model.graph.nodes.size());
  const nlohmann::json& conv = json["layers"][1];
  EXPECT_EQ(conv["name"], "n1");
  EXPECT_EQ(conv["bits"], 1);
  EXPECT_EQ(conv["codebook"], "binary");
  EXPECT_EQ(conv["scale"], "layer");
  EXPECT_THAT(conv["shape"].get<std::vector<int>>(), ElementsAre(4, 8, 8));
  EXPECT_TRUE(conv.contains("bytes") && conv.contains("macs") && conv.contains("activation") && conv.contains("op"));
  EXPECT_TRUE(json["layers"][0]["bits"].is_null());
  EXPECT_EQ(json["labels"].size(), 4u);
  EXPECT_EQ(json["stage"]["count"], 3);
  EXPECT_EQ(json["preprocessing"]["color"], "BGR");
  EXPECT_EQ(json["provenance"]["tool_version"], "0.1.0");
}

TEST_F(InspectTest, PrintsATableWhoseBytesAddUpToTheFile) {
  const std::string path = Path("m.bitstage");
  ASSERT_TRUE(WriteModelFile(ModelWithEverything(3), path).ok());
  const CallResult result = Call({"inspect", path});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* words :
       {"Conv 3x3 g2", "ternary", "pixel", "preprocessing   BGR 8x8, center_crop of shorter side 10",
        "labels          4: background | cat", "entropy tables  for 1 value(s) at which",
        "with everything, stage 2 of 3", "codes           1 layer ", "ternary (a scale a ", "100.0 %"}) {
    EXPECT_THAT(result.out, HasSubstr(words));
  }
  EXPECT_EQ(result.out.find('\x1b'), std::string::npos) << "escape sequences without a terminal";
}

TEST_F(InspectTest, SaysWhatIsWrongWithAFile) {
  EXPECT_THAT(Call({"inspect", Path("none")}).err, HasSubstr(Path("none") + ": cannot open"));
  EXPECT_THAT(Call({"inspect", folder_.string()}).err, HasSubstr("is a folder"));
  const std::string model = FileOf(TinyModel());
  const CallResult cut = Call({"inspect", Write("cut", model.substr(0, model.size() - 64))});
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_THAT(cut.err, HasSubstr("header: file_size says"));
  EXPECT_EQ(Call({"inspect", Write("text", "hello, world\n")}).exit_code, 1);
  EXPECT_EQ(Call({"inspect", Write("empty", "")}).exit_code, 1);
}

TEST_F(InspectTest, TakesClassNamesThatFitTheOutputs) {
  Model model = ModelWithEverything(1);  // ten outputs
  model.class_offset = 1;
  std::string names;
  for (int i = 0; i < 9; ++i) names += "n0000000" + std::to_string(i) + " class " + std::to_string(i) + "\r\n";
  ASSERT_TRUE(SetClassNames(Write("names", names), model).ok());
  ASSERT_EQ(model.labels.size(), 10u);
  EXPECT_EQ(model.labels[0], "background");
  EXPECT_EQ(model.labels[9], "class 8");
  EXPECT_THAT(std::string(SetClassNames(Write("few", "a\nb\n"), model).message()), HasSubstr("has 10 outputs"));
  EXPECT_EQ(model.labels.size(), 10u);
}

TEST_F(InspectTest, ImportsANetworkThatInspectsAsItsSource) {
  const std::string onnx = BITSTAGE_SHARED_OR_SKIP("data/models/cifar10_resnet20/model.onnx");
  const std::string path = Path("net.bitstage");
  const CallResult imported = Call({"import", onnx, "-o", path, "--name", "resnet20"});
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  nlohmann::json from_onnx = LastLine(Call({"inspect", onnx, "--json"}).out);
  nlohmann::json from_file = LastLine(Call({"inspect", path, "--json"}).out);
  EXPECT_EQ(from_file["name"], "resnet20");
  EXPECT_EQ(from_file["bits_per_weight"], 32);
  EXPECT_EQ(from_file["weights"], 268336);
  EXPECT_EQ(from_file["provenance"]["command"], "import model.onnx -o net.bitstage --name resnet20");
  EXPECT_EQ(from_file["provenance"]["source_sha256"].get<std::string>().size(), 64u);
  for (const char* key : {"parameters", "weights", "macs", "inputs", "outputs", "preprocessing"}) {
    EXPECT_EQ(from_file[key], from_onnx[key]) << key;
  }
  EXPECT_EQ(from_file["layers"].size(), from_onnx["layers"].size());
}

}  // namespace
}  // namespace bitstage
