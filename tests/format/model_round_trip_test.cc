#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "engine/codec/weight_coding.h"
#include "engine/format/model_file.h"
#include "engine/format/model_ops.h"
#include "tests/format/model_samples.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr float kInf = std::numeric_limits<float>::infinity();

std::string TemporaryPath(const std::string& name) {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / test->test_suite_name() / test->name();
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return (folder / name).string();
}

// Every attribute of every operator away from its default.
TEST(ModelRoundTripTest, KeepsEveryAttributeOfEveryOperator) {
  const Window window{.kernel = {1, 2},
                      .stride = {3, 4},
                      .dilation = {5, 6},
                      .pad_before = {7, 8},
                      .pad_after = {9, 10},
                      .ceil_mode = true};
  const std::vector<Op> ops = {
      Conv{window, 3, 11, 0, Clamp{-1, kInf}},
      Conv{window, 3, 11, kNoConstant, std::nullopt},
      ConvTranspose{window, {1, 2}, 3, 4, 5, Clamp{0, 6}},
      FullyConnected{7, 8, Clamp{-0.0f, 1}},
      FullyConnected{0, kNoConstant, std::nullopt},
      ChannelAffine{1, 2},
      Unary{UnaryKind::kTanh, 1.5f, -2.5f},
      Binary{BinaryKind::kMul, Clamp{-kInf, 2}},
      BinaryConstant{BinaryKind::kSub, 9, true},
      Concat{2},
      Pool{PoolKind::kAverage, window, true},
      GlobalAveragePool{false},
      GlobalAveragePool{true},
      Reshape{{2, 3, 4}},
      Transpose{{2, 0, 1}},
      Pad{{1, 2, 3}, {4, 5, 6}, -7.5f},
      Slice{{0, 1}, {2, 3}, {4, 5}},
      Resize{ResizeMode::kLinear, ResizeCoordinates::kAsymmetric, ResizeRounding::kCeil, 10, 11, 0.5f, 1.5f},
      Softmax{1},
      ArgMax{2, false, true},
      FakeQuantize{{0.5f, 0.25f}, -3, -128, 127}};
  std::vector<bool> seen(std::variant_size_v<Op>);
  for (const Op& op : ops) {
    model::v1::Node proto;
    WriteOp(op, proto);
    const absl::StatusOr<Op> read = ReadOp(proto);
    ASSERT_TRUE(read.ok()) << OpName(op) << read.status();
    ExpectEqual(*read, op);
    seen[op.index()] = true;
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), false), 0) << "an operator is not tested";
}

TEST(ModelRoundTripTest, KeepsShapesOfEveryRank) {
  Shape shape;
  for (int rank = 0; rank <= kMaxRank; ++rank) {
    model::v1::Shape proto;
    WriteShape(shape, proto);
    const absl::StatusOr<Shape> read = ReadShape(proto, "shape");
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(*read == shape) << shape.ToString();
    shape.Append(rank + 1);
  }
}

TEST(ModelRoundTripTest, KeepsCodesOfEveryWidthCodebookAndCount) {
  for (const Codebook codebook : {Codebook::kBinary, Codebook::kTernary, Codebook::kUniform}) {
    for (int bits = 2; bits <= 8; ++bits) {
      for (int64_t count = 1; count <= 41; ++count) {
        const WeightCodes codes =
            RandomCodes({count, 1}, codebook, bits, ScaleKind::kLayer, static_cast<uint32_t>(count));
        std::string packed;
        AppendPacked(codes, packed);
        ASSERT_EQ(static_cast<int64_t>(packed.size()), PackedBytes(codes.codebook, codes.bits, count));
        std::vector<int8_t> read(static_cast<size_t>(count % 7), 99);
        const absl::Status status = Unpack(codes.codebook, codes.bits, count, BytesOf(packed), read);
        ASSERT_TRUE(status.ok()) << status;
        ASSERT_EQ(read, codes.codes) << Name(codebook) << " " << bits << " " << count;
      }
    }
  }
}

// Codes of which most are small, as weights are.
WeightCodes SkewedCodes(int64_t count, Codebook codebook, int bits, uint32_t seed) {
  WeightCodes codes = RandomCodes({count, 1}, codebook, bits, ScaleKind::kLayer, seed);
  std::minstd_rand random(seed);
  for (int8_t& code : codes.codes) {
    if (codebook == Codebook::kBinary) {
      if (random() % 4 != 0) code = 1;
    } else {
      while (code != 0 && random() % 4 != 0) code = static_cast<int8_t>(code / 2);
    }
  }
  return codes;
}

TEST(ModelRoundTripTest, KeepsHuffmanCodedCodesOfEveryWidthAndCodebook) {
  for (const Codebook codebook : {Codebook::kBinary, Codebook::kTernary, Codebook::kUniform}) {
    for (int bits = 2; bits <= 8; ++bits) {
      int coded_ones = 0;
      for (const int64_t count : {1, 5, 999, 8191, 8192, 8193, 70001}) {
        const WeightCodes codes = SkewedCodes(count, codebook, bits, static_cast<uint32_t>(count));
        std::string coded = "before";
        if (!AppendCoded(codes, coded)) {
          ASSERT_EQ(coded, "before");
          continue;
        }
        ++coded_ones;
        coded.erase(0, 6);
        ASSERT_LT(static_cast<int64_t>(coded.size()), PackedBytes(codes.codebook, codes.bits, count));
        std::vector<int8_t> read(100'000, 99);
        const absl::Status status = Decode(codes.codebook, codes.bits, count, BytesOf(coded), read);
        ASSERT_TRUE(status.ok()) << status;
        ASSERT_EQ(read, codes.codes) << Name(codebook) << " " << bits << " " << count;
      }
      EXPECT_GE(coded_ones, 3) << Name(codebook) << " " << bits;
    }
  }
}

TEST(ModelRoundTripTest, FilesHoldCodedWeightsWhereThatIsShorter) {
  Model model = TinyModel();
  EXPECT_EQ(SerializeModel(model).version, 1u);
  WeightCodes& weights = *model.graph.constants[0].codes;
  weights = SkewedCodes(64 * 1024, Codebook::kUniform, 8, 1);
  const std::string packed(weights.codes.begin(), weights.codes.end());
  const ModelBytes sections = SerializeModel(model);
  EXPECT_EQ(sections.version, 2u);
  EXPECT_LT(sections.weights.size(), packed.size() * 15 / 16);
}

TEST(ModelRoundTripTest, KeepsModelsWithEverything) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    const Model model = ModelWithEverything(seed);
    ASSERT_TRUE(Validate(model.graph).ok()) << Validate(model.graph);
    const absl::StatusOr<Model> read = ParseModelFile(BytesOf(FileOf(model)));
    ASSERT_TRUE(read.ok()) << read.status();
    ExpectEqual(*read, model);
    EXPECT_EQ(FileOf(*read), FileOf(model)) << "equal models give equal bytes";
  }
}

TEST(ModelRoundTripTest, KeepsAModelWithoutTheOptionalParts) {
  const Model model = TinyModel();
  const absl::StatusOr<Model> read = ParseModelFile(BytesOf(FileOf(model)));
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(*read, model);
  EXPECT_FALSE(read->preprocessing.has_value());
  EXPECT_FALSE(read->stage.has_value());
}

TEST(ModelFileTest, GivesTheCodesOfOneConstantAtATime) {
  const std::string path = TemporaryPath("net.bitstage");
  const Model written = ModelWithEverything(3);
  ASSERT_TRUE(WriteModelFile(written, path).ok());
  const absl::StatusOr<ModelFile> file = ModelFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  std::filesystem::remove(path);  // stays mapped
  Model read = file->model()->Clone();
  int coded = 0;
  for (size_t id = 0; id < read.graph.constants.size(); ++id) {
    std::optional<WeightCodes>& codes = read.graph.constants[id].codes;
    if (!codes) continue;
    ++coded;
    EXPECT_TRUE(codes->codes.empty());
    codes->codes.assign(1000, 99);
    const absl::Status status = file->ReadCodes(static_cast<ConstantId>(id), *codes);
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_GE(coded, 2);
  ExpectEqual(read, written);
}

TEST(ModelFileTest, RefusesCodesInTheWordsOfTheWholeReader) {
  const std::string path = TemporaryPath("net.bitstage");
  ModelBytes sections = SerializeModel(TinyModel());
  sections.weights[0] = '\xf3';
  std::ofstream(path, std::ios::binary) << FileOf(sections);
  const absl::StatusOr<ModelFile> file = ModelFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  WeightCodes codes = *file->model()->graph.constants[0].codes;
  const absl::Status status = file->ReadCodes(0, codes);
  EXPECT_EQ(status, ReadModelFile(path).status());
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status.message(), path + ": META: constant 0 'constant0': byte 0 is 243, expected below 243");
  sections.weights.pop_back();
  std::ofstream(path, std::ios::binary) << FileOf(sections);
  EXPECT_EQ(ModelFile::Open(path).status(), ReadModelFile(path).status());
}

TEST(ModelRoundTripTest, WritesAndReplacesFilesWholly) {
  const std::string path = TemporaryPath("net.bitstage");
  ASSERT_TRUE(WriteModelFile(TinyModel(), path).ok());
  const Model second = ModelWithEverything(1);
  ASSERT_TRUE(WriteModelFile(second, path).ok());
  const absl::StatusOr<Model> read = ReadModelFile(path);
  ASSERT_TRUE(read.ok()) << read.status();
  ExpectEqual(*read, second);
  const auto folder = std::filesystem::directory_iterator(std::filesystem::path(path).parent_path());
  EXPECT_EQ(std::distance(begin(folder), end(folder)), 1) << "a temporary file is left";
}

TEST(ModelRoundTripTest, LeavesTheOldFileWhereTheNewModelIsRefused) {
  const std::string path = TemporaryPath("net.bitstage");
  ASSERT_TRUE(WriteModelFile(TinyModel(), path).ok());
  Model invalid = TinyModel();
  invalid.graph.nodes[0].inputs = {7};
  EXPECT_THAT(std::string(WriteModelFile(invalid, path).message()), StartsWith(path));
  Model unfit = TinyModel();
  unfit.preprocessing = Preprocessing{.width = 3, .height = 3};
  const absl::Status status = WriteModelFile(unfit, path);
  EXPECT_THAT(std::string(status.message()), HasSubstr("preprocessing: makes 3x3x3, but input 'input0' is 1x2x2"));
  EXPECT_TRUE(ReadModelFile(path).ok());
}

TEST(ModelRoundTripTest, NamesTheFileThatCannotBeRead) {
  const std::string path = TemporaryPath("net.bitstage");
  EXPECT_EQ(ReadModelFile(path).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadModelFile(path).status().message()), StartsWith(path));
  const std::string folder = std::filesystem::path(path).parent_path().string();
  EXPECT_EQ(ReadModelFile(folder).status().code(), absl::StatusCode::kInvalidArgument);
  std::ofstream(path).close();
  EXPECT_EQ(ReadModelFile(path).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(WriteModelFile(TinyModel(), path + "/x").code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace bitstage
