// The bytes of docs/model-format.md, one by one.
#include <gtest/gtest.h>

#include <cstring>

#include "engine/base/crc32c.h"
#include "engine/base/sha256.h"
#include "engine/codec/weight_coding.h"
#include "engine/format/model_file.h"
#include "tests/format/model_samples.h"

namespace bitstage {
namespace {

std::vector<int> Packed(Codebook codebook, int bits, std::vector<int8_t> codes) {
  WeightCodes weights;
  weights.shape = {static_cast<int64_t>(codes.size()), 1};
  weights.codebook = codebook;
  weights.bits = bits;
  weights.codes = std::move(codes);
  std::string bytes;
  AppendPacked(weights, bytes);
  std::vector<int> result;
  for (const char byte : bytes) result.push_back(static_cast<uint8_t>(byte));
  return result;
}

TEST(ModelLayoutTest, PacksCodesAsDrawn) {
  using Bytes = std::vector<int>;
  EXPECT_EQ(Packed(Codebook::kBinary, 1, {1, -1, -1, 1, 1, -1, -1, -1, 1}), (Bytes{0b00011001, 0b1}));
  // digits 2 0 1 2 1 | 0 2
  EXPECT_EQ(Packed(Codebook::kTernary, 2, {1, -1, 0, 1, 0, -1, 1}), (Bytes{2 + 0 + 9 + 2 * 27 + 81, 0 + 2 * 3}));
  EXPECT_EQ(Packed(Codebook::kUniform, 2, {1, -1, 0, 1, -1}), (Bytes{0b01001101, 0b11}));
  // 3 -3 1 -1 0 2 -2 1 = 011 101 001 111 000 010 110 001
  EXPECT_EQ(Packed(Codebook::kUniform, 3, {3, -3, 1, -1, 0, 2, -2, 1}), (Bytes{0b01101011, 0b00001110, 0b00111001}));
  EXPECT_EQ(Packed(Codebook::kUniform, 4, {7, -7, -1}), (Bytes{0x97, 0x0f}));
  EXPECT_EQ(Packed(Codebook::kUniform, 8, {127, -127, -1}), (Bytes{0x7f, 0x81, 0xff}));
}

struct Field {
  size_t at;
  size_t bytes;
  uint64_t value;
  const char* name;
};

TEST(ModelLayoutTest, LaysOutTheTinyModelAsDrawn) {
  const Model model = TinyModel();
  const ModelBytes sections = SerializeModel(model);
  const std::string file = FileOf(model);
  ASSERT_EQ(sections.weights, std::string("\x8c\x07", 2));  // digits 2 1 0 2 1 | 1 2 0
  ASSERT_EQ(sections.floats.size(), 3 * sizeof(float));     // one scale, two biases
  const size_t meta = sections.meta.size();
  const size_t weights_at = 192 + (meta + 63) / 64 * 64;

  EXPECT_EQ(file.substr(0, 8), "BITSTAGE");
  const std::vector<Field> fields = {
      {8, 4, 1, "version"},
      {12, 4, 3, "section_count"},
      {16, 8, file.size(), "file_size"},
      {28, 8, 0, "reserved"},
      {64, 4, 1, "META kind"},
      {68, 4, 0, "META flags"},
      {72, 8, 192, "META offset"},
      {80, 8, meta, "META size"},
      {88, 4, Crc32c(BytesOf(sections.meta)), "META crc"},
      {96, 4, 2, "WEIGHTS kind"},
      {104, 8, weights_at, "WEIGHTS offset"},
      {112, 8, 2, "WEIGHTS size"},
      {120, 4, Crc32c(BytesOf(sections.weights)), "WEIGHTS crc"},
      {128, 4, 3, "FLOATS kind"},
      {136, 8, weights_at + 64, "FLOATS offset"},
      {144, 8, 12, "FLOATS size"},
      {152, 4, Crc32c(BytesOf(sections.floats)), "FLOATS crc"},
      {160, 8, 0, "padding of the table"},
      {weights_at + 2, 8, 0, "padding of WEIGHTS"},
  };
  for (const Field& field : fields) {
    uint64_t value = 0;
    std::memcpy(&value, file.data() + field.at, field.bytes);
    EXPECT_EQ(value, field.value) << field.name << " at " << field.at;
  }
  EXPECT_EQ(file.size(), weights_at + 128);
  EXPECT_EQ(file.substr(192, meta), sections.meta);
  float bias = 0;
  std::memcpy(&bias, file.data() + weights_at + 64 + 8, sizeof(bias));
  EXPECT_EQ(bias, -2.0f);

  std::string without_crc = file.substr(0, 160);
  std::memset(without_crc.data() + 24, 0, 4);
  uint32_t header_crc = 0;
  std::memcpy(&header_crc, file.data() + 24, 4);
  EXPECT_EQ(header_crc, Crc32c(BytesOf(without_crc)));
}

// Version 1 is written and read for ever: where this hash changes, files in the field can no longer be compared.
TEST(ModelLayoutTest, TheTinyModelsBytesNeverChange) {
  EXPECT_EQ(Sha256Hex(BytesOf(FileOf(TinyModel()))),
            "ffd82c9a00e5a15d2fa1685279fc097debac9887645ca15f89b6ca7105d850f8");
}

TEST(ModelLayoutTest, KnowsAModelFileByItsMagic) {
  EXPECT_TRUE(IsModelFile(BytesOf(FileOf(TinyModel()))));
  EXPECT_FALSE(IsModelFile(BytesOf("BITSTAG")));
  EXPECT_FALSE(IsModelFile(BytesOf("\x08\x07\x12\x0cpytorch")));
}

}  // namespace
}  // namespace bitstage
