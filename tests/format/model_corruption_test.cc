// What happens to a file that is damaged, cut off, or made to hurt: it is refused, with words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "engine/base/crc32c.h"
#include "engine/format/model_file.h"
#include "engine/format/model_format.h"
#include "proto/model_file.pb.h"
#include "tests/format/model_samples.h"

namespace bitstage {
namespace {

namespace pb = model::v1;
using ::testing::HasSubstr;

constexpr uint64_t kHuge = std::numeric_limits<uint64_t>::max();

absl::Status Parse(const std::string& file) { return ParseModelFile(BytesOf(file)).status(); }

TEST(ModelCorruptionTest, RefusesEverySingleChangedByte) {
  const std::string file = FileOf(TinyModel());
  for (size_t at = 0; at < file.size(); ++at) {
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128, 255}) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      ASSERT_FALSE(Parse(damaged).ok()) << "byte " << at << " xor " << flip;
    }
  }
}

TEST(ModelCorruptionTest, RefusesTruncationAtEveryLength) {
  const std::string file = FileOf(TinyModel());
  for (size_t size = 0; size < file.size(); ++size) ASSERT_FALSE(Parse(file.substr(0, size)).ok()) << size;
}

TEST(ModelCorruptionTest, RefusesTrailingBytesOfAnyLength) {
  for (const size_t extra : {1, 63, 64, 65, 4096}) {
    EXPECT_FALSE(Parse(FileOf(TinyModel()) + std::string(extra, '\0')).ok()) << extra;
  }
}

// A file whose header or section table was changed by someone who mends the checksum.
class ModelHeaderTest : public ::testing::Test {
 protected:
  template <typename T>
  void Store(size_t at, T value) {
    std::memcpy(file_.data() + at, &value, sizeof(value));
  }
  void MendHeaderCrc(size_t sections = 3) {
    Store<uint32_t>(model_format::kHeaderCrcAt, 0);
    Store<uint32_t>(model_format::kHeaderCrcAt, Crc32c(BytesOf(file_).first(64 + 32 * sections)));
  }
  void ExpectRefused(absl::StatusCode code, const std::string& words) {
    const absl::Status status = Parse(file_);
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }

  std::string file_ = FileOf(TinyModel());
};

TEST_F(ModelHeaderTest, SaysThatANewerVersionNeedsANewerBuild) {
  Store<uint32_t>(model_format::kVersionAt, model_format::kVersion + 1);
  MendHeaderCrc();
  ExpectRefused(absl::StatusCode::kUnimplemented, "format version 3 is newer than this build's 2");
}

TEST_F(ModelHeaderTest, RefusesAnotherKindOfFile) {
  file_ = "not a model";
  ExpectRefused(absl::StatusCode::kInvalidArgument, "not a .bitstage model file");
}

TEST_F(ModelHeaderTest, RefusesHostileFields) {
  struct Case {
    const char* story;
    size_t at;
    uint64_t value;
    size_t bytes;
    absl::StatusCode code;
    const char* words;
  };
  const std::string good = file_;
  const size_t meta = 64, weights = 96, floats = 128;
  using model_format::kFlagsAt, model_format::kKindAt, model_format::kOffsetAt, model_format::kSizeAt;
  const std::vector<Case> cases = {
      {"reserved byte of the header", 63, 1, 1, absl::StatusCode::kDataLoss, "reserved bytes"},
      {"reserved byte of an entry", meta + 28, 1, 1, absl::StatusCode::kDataLoss, "section 0 (META): reserved bytes"},
      {"offset not aligned", weights + kOffsetAt, 193, 8, absl::StatusCode::kDataLoss, "section 1 (WEIGHTS): offset"},
      {"sections overlap", weights + kOffsetAt, 192, 8, absl::StatusCode::kDataLoss, "section 1 (WEIGHTS): offset"},
      {"offset past the end", weights + kOffsetAt, kHuge, 8, absl::StatusCode::kDataLoss,
       "section 1 (WEIGHTS): offset"},
      {"size past the end", floats + kSizeAt, 1 << 20, 8, absl::StatusCode::kDataLoss, "section 2 (FLOATS): 1048576"},
      {"offset + size overflows", floats + kSizeAt, kHuge - 64, 8, absl::StatusCode::kDataLoss, "section 2 (FLOATS)"},
      {"unknown flag", floats + kFlagsAt, 2, 4, absl::StatusCode::kDataLoss, "section 2 (FLOATS): flags"},
      {"unknown section", floats + kKindAt, 9, 4, absl::StatusCode::kUnimplemented, "section 2 (unknown): kind 9"},
      {"section twice", floats + kKindAt, 2, 4, absl::StatusCode::kInvalidArgument,
       "section 2 (WEIGHTS): is there twice"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.story);
    file_ = good;
    std::memcpy(file_.data() + c.at, &c.value, c.bytes);
    MendHeaderCrc();
    ExpectRefused(c.code, c.words);
  }
}

TEST_F(ModelHeaderTest, RefusesSectionCountsThatTheFileCannotHold) {
  for (const uint32_t count : {0u, 65u, 0xffffffffu}) {
    Store<uint32_t>(model_format::kSectionCountAt, count);
    MendHeaderCrc();
    ExpectRefused(absl::StatusCode::kDataLoss, "header: section_count is");
  }
  file_.resize(128);
  Store<uint64_t>(model_format::kFileSizeAt, file_.size());
  Store<uint32_t>(model_format::kSectionCountAt, 3);
  ExpectRefused(absl::StatusCode::kDataLoss, "section table: the file ends");
}

TEST_F(ModelHeaderTest, RefusesAMissingSection) {
  Store<uint32_t>(128 + model_format::kKindAt, 9);
  Store<uint32_t>(128 + model_format::kFlagsAt, model_format::kFlagSkippable);
  MendHeaderCrc();
  ExpectRefused(absl::StatusCode::kInvalidArgument, "section FLOATS is missing");
}

// A fourth section fits into the padding of the table and of the file: 64 + 4·32 = 192.
TEST_F(ModelHeaderTest, SkipsAnUnknownSectionThatMayBeSkipped) {
  const size_t entry = 64 + 3 * 32;
  Store<uint32_t>(model_format::kSectionCountAt, 4);
  Store<uint32_t>(entry + model_format::kKindAt, 77);
  Store<uint32_t>(entry + model_format::kFlagsAt, model_format::kFlagSkippable);
  Store<uint64_t>(entry + model_format::kOffsetAt, file_.size());
  Store<uint64_t>(entry + model_format::kSizeAt, 3);
  file_ += "new" + std::string(61, '\0');
  Store<uint32_t>(entry + model_format::kCrcAt, Crc32c(BytesOf("new")));
  Store<uint64_t>(model_format::kFileSizeAt, file_.size());
  MendHeaderCrc(4);
  const absl::StatusOr<Model> model = ParseModelFile(BytesOf(file_));
  ASSERT_TRUE(model.ok()) << model.status();
  ExpectEqual(*model, TinyModel());
  file_[file_.size() - 64] = 'N';
  ExpectRefused(absl::StatusCode::kDataLoss, "section 3 (unknown): crc");
}

struct MetaCase {
  const char* story;
  std::function<void(pb::Model&)> change;
  const char* words;
};

// META with a good checksum and bad contents.
void ExpectRefused(const Model& base, const std::vector<MetaCase>& cases) {
  for (const MetaCase& c : cases) {
    SCOPED_TRACE(c.story);
    ModelBytes sections = SerializeModel(base);
    pb::Model meta;
    ASSERT_TRUE(meta.ParseFromString(sections.meta));
    c.change(meta);
    sections.meta = meta.SerializeAsString();
    const absl::Status status = Parse(FileOf(sections));
    EXPECT_TRUE(status.code() == absl::StatusCode::kInvalidArgument || status.code() == absl::StatusCode::kDataLoss)
        << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.words));
  }
}

pb::Codes& CodesOf(pb::Model& m) { return *m.mutable_graph()->mutable_constants(0)->mutable_codes(); }
pb::Shape& ShapeOf(pb::Model& m, int constant) {
  return *m.mutable_graph()->mutable_constants(constant)->mutable_shape();
}

TEST(HostileMetaTest, RefusesConstantsThatClaimWhatTheSectionsDoNotHold) {
  const auto huge_shape = [](pb::Model& m, int constant) {
    ShapeOf(m, constant).clear_extents();
    for (int i = 0; i < 2; ++i) ShapeOf(m, constant).add_extents(int64_t{1} << 40);
  };
  ExpectRefused(
      TinyModel(),
      {{"codes of 2^80 elements", [&](pb::Model& m) { huge_shape(m, 0); }, "constant 0 'constant0': shape"},
       {"floats of 2^80 elements", [&](pb::Model& m) { huge_shape(m, 1); }, "constant 1 'constant1': needs too many"},
       {"2^40 floats", [](pb::Model& m) { ShapeOf(m, 1).set_extents(0, int64_t{1} << 40); }, "of FLOATS, which has 12"},
       {"2^62 floats, whose bytes overflow", [](pb::Model& m) { ShapeOf(m, 1).set_extents(0, int64_t{1} << 62); },
        "needs too many bytes"},
       {"extent 0", [](pb::Model& m) { ShapeOf(m, 1).set_extents(0, 0); }, "shape has extent 0"},
       {"extent −1", [](pb::Model& m) { ShapeOf(m, 0).set_extents(1, -1); }, "shape has extent -1"},
       {"rank 1000",
        [](pb::Model& m) {
          for (int i = 0; i < 1000; ++i) ShapeOf(m, 0).add_extents(1);
        },
        "shape has 1004 extents"},
       {"size in WEIGHTS too large", [](pb::Model& m) { CodesOf(m).set_size(kHuge); }, "size is 18446744073709551615"},
       {"2^40 codes, size to match",
        [](pb::Model& m) {
          ShapeOf(m, 0).set_extents(0, int64_t{1} << 40);
          CodesOf(m).set_size(static_cast<uint64_t>(((int64_t{1} << 42) + 4) / 5));
        },
        "of WEIGHTS, which has 2"},
       {"offset in WEIGHTS", [](pb::Model& m) { CodesOf(m).set_offset(kHuge); }, "offset in WEIGHTS"},
       {"offset in FLOATS", [](pb::Model& m) { CodesOf(m).set_scale_offset(4); }, "offset in FLOATS is 4, expected 0"},
       {"2^64 scales", [](pb::Model& m) { CodesOf(m).set_scale_count(kHuge); }, "scale_count"},
       {"2^31 scales", [](pb::Model& m) { CodesOf(m).set_scale_count((1u << 31) - 1); }, "of FLOATS, which has 12"},
       {"floats left over", [](pb::Model& m) { m.mutable_graph()->mutable_constants()->RemoveLast(); },
        "FLOATS: 8 bytes at the end"},
       {"0 bits", [](pb::Model& m) { CodesOf(m).set_bits(0); }, "bits is 0"},
       {"2^32 − 1 bits", [](pb::Model& m) { CodesOf(m).set_bits(~0u); }, "bits is 4294967295"},
       {"no data", [](pb::Model& m) { m.mutable_graph()->mutable_constants(0)->clear_data(); }, "data is missing"},
       {"another codebook", [](pb::Model& m) { CodesOf(m).set_codebook(static_cast<pb::Codebook>(77)); },
        "codebook is enumerator 77"},
       {"no scale kind", [](pb::Model& m) { CodesOf(m).clear_scale_kind(); }, "scale_kind is enumerator 0"},
       {"alphas without a kind", [](pb::Model& m) { CodesOf(m).set_alpha("\1\2"); }, "2 alphas, expected 0"}});
}

TEST(HostileMetaTest, RefusesGraphsThatContradictThemselves) {
  ExpectRefused(
      TinyModel(),
      {{"no graph", [](pb::Model& m) { m.clear_graph(); }, "WEIGHTS: 2 bytes at the end belong to no constant"},
       {"input out of range", [](pb::Model& m) { m.mutable_graph()->mutable_nodes(0)->set_inputs(0, 99); },
        "input is value 99 of 2"},
       {"index that is negative as int32",
        [](pb::Model& m) { m.mutable_graph()->mutable_nodes(0)->set_inputs(0, ~0u); }, "inputs is index 4294967295"},
       {"weights −1 by wrapping",
        [](pb::Model& m) { m.mutable_graph()->mutable_nodes(0)->mutable_conv()->set_weights(~0u); },
        "weights is index 4294967295"},
       {"graph output out of range", [](pb::Model& m) { m.mutable_graph()->set_outputs(0, 1u << 31); },
        "graph.outputs is index"},
       {"no operator", [](pb::Model& m) { m.mutable_graph()->mutable_nodes(0)->clear_op(); }, "op is missing"},
       {"a window of zeros", [](pb::Model& m) { m.mutable_graph()->mutable_nodes(0)->mutable_conv()->clear_window(); },
        "node 'node0' (Conv)"},
       {"a shape that is not the inferred one",
        [](pb::Model& m) { m.mutable_graph()->mutable_values(1)->mutable_shape()->set_extents(0, 3); },
        "is declared as"},
       {"a grid of 0 bits",
        [](pb::Model& m) { m.mutable_graph()->mutable_values(0)->mutable_grid()->set_bits(std::string(1, '\0')); },
        "value 'input0': grid"},
       {"a grid without steps",
        [](pb::Model& m) { m.mutable_graph()->mutable_values(0)->mutable_grid()->clear_step(); },
        "grid.step has 0 entries"},
       {"zero point −1 as int32",
        [](pb::Model& m) { m.mutable_graph()->mutable_values(0)->mutable_grid()->set_zero_point(~0u); },
        "grid.zero_point is 4294967295"},
       {"too many values",
        [](pb::Model& m) {
          for (int i = 0; i < 1 << 16; ++i) m.mutable_graph()->add_values();
        },
        "graph.values has 65538 entries"},
       {"no type", [](pb::Model& m) { m.mutable_graph()->mutable_values(0)->clear_type(); }, "type is enumerator 0"}});
}

TEST(HostileMetaTest, RefusesWhatAServerCouldNotUse) {
  const auto preprocessing = [](pb::Model& m) -> pb::Preprocessing& { return *m.mutable_preprocessing(); };
  const auto plain = [](pb::Model& m) -> pb::CodeTables& { return *m.mutable_boundary_tables(0)->mutable_plain(); };
  ExpectRefused(
      ModelWithEverything(1),
      {{"a picture of another size", [&](pb::Model& m) { preprocessing(m).set_width(1 << 30); },
        "preprocessing: makes"},
       {"std 0", [&](pb::Model& m) { preprocessing(m).set_std(0, 0); }, "preprocessing: std"},
       {"no std", [&](pb::Model& m) { preprocessing(m).clear_std(); }, "preprocessing: std has 0 entries"},
       {"mean NaN", [&](pb::Model& m) { preprocessing(m).set_mean(2, std::nanf("")); }, "preprocessing: mean"},
       {"two means", [&](pb::Model& m) { preprocessing(m).mutable_mean()->RemoveLast(); }, "mean has 2 entries"},
       {"scale inf", [&](pb::Model& m) { preprocessing(m).set_scale(std::numeric_limits<float>::infinity()); },
        "preprocessing: scale"},
       {"padding of 256", [&](pb::Model& m) { preprocessing(m).set_pad_value(256); },
        "preprocessing: pad_value is 256"},
       {"a resize to less than the crop", [&](pb::Model& m) { preprocessing(m).set_resize_shorter(7); },
        "preprocessing: resize_shorter is 7"},
       {"a resize to a billion", [&](pb::Model& m) { preprocessing(m).set_resize_shorter(1000000000); },
        "preprocessing: resize_shorter"},
       {"no geometry", [&](pb::Model& m) { preprocessing(m).clear_geometry(); }, "geometry is enumerator 0"},
       {"stage 3 of 3", [](pb::Model& m) { m.mutable_stage()->set_index(3); }, "stage: index is 3 of 3"},
       {"stage −1", [](pb::Model& m) { m.mutable_stage()->set_index(-1); }, "stage: index is -1"},
       {"tables of no value", [](pb::Model& m) { m.mutable_boundary_tables(0)->set_value("none"); },
        "boundary_tables 'none': names no value"},
       {"tables of a value without a grid", [](pb::Model& m) { m.mutable_boundary_tables(0)->set_value("v1"); },
        "boundary_tables 'v1': names no value that has a grid"},
       {"tables twice", [](pb::Model& m) { *m.add_boundary_tables() = m.boundary_tables(0); }, "is there twice"},
       {"no tables", [&](pb::Model& m) { plain(m).clear_lengths(); }, "plain: lengths has 0 tables"},
       {"a million tables",
        [&](pb::Model& m) {
          for (int i = 0; i < 1 << 20; ++i) plain(m).add_lengths("");
        },
        "plain: lengths has 1048578 tables, expected 1 to 255"},
       {"257 cells", [&](pb::Model& m) { plain(m).mutable_lengths(1)->push_back('\1'); },
        "plain: lengths 1 has 257 cells, expected 256"},
       {"more codes than fit", [&](pb::Model& m) { (*plain(m).mutable_lengths(0))[0] = '\1'; },
        "boundary_tables 'v0': plain: lengths 0: Huffman table: over-subscribed"},
       {"a cell without a code", [&](pb::Model& m) { (*plain(m).mutable_lengths(0))[0] = '\0'; },
        "plain: lengths 0 leaves a cell without a code"},
       {"two groups for three channels", [&](pb::Model& m) { plain(m).mutable_group_of_channel()->pop_back(); },
        "plain: group_of_channel has 2 entries, expected 3"},
       {"a group beyond the tables", [&](pb::Model& m) { (*plain(m).mutable_group_of_channel())[2] = '\2'; },
        "plain: group_of_channel 2 is 2 of 2 tables"},
       {"contexts among the plain tables", [&](pb::Model& m) { *plain(m).mutable_of_context() = "x"; },
        "plain: of_context is not empty"},
       {"pairs of 8 bits", [&](pb::Model& m) { plain(m).set_pairs(true); }, "plain: pairs in channel 0 of 8 bits"},
       {"contexts without a map",
        [](pb::Model& m) { m.mutable_boundary_tables(0)->mutable_contexts()->clear_of_context(); },
        "contexts: of_context is empty"},
       {"too small a map",
        [](pb::Model& m) { m.mutable_boundary_tables(0)->mutable_contexts()->mutable_of_context()->pop_back(); },
        "contexts: of_context has 127 entries, expected 128"},
       {"a context beyond the tables",
        [](pb::Model& m) { (*m.mutable_boundary_tables(0)->mutable_contexts()->mutable_of_context())[5] = '\2'; },
        "contexts: of_context names table 2 of 2"},
       {"an unknown coding",
        [](pb::Model& m) { m.mutable_boundary_tables(0)->set_preferred(static_cast<pb::FrameCoding>(9)); },
        "preferred is enumerator 9"}});
}

TEST(HostileMetaTest, RefusesCodesOutsideTheCodebookAndBitsAfterTheLast) {
  ModelBytes sections = SerializeModel(TinyModel());
  const std::string good = sections.weights;
  sections.weights[0] = '\xf3';
  EXPECT_THAT(std::string(Parse(FileOf(sections)).message()), HasSubstr("byte 0 is 243"));
  sections.weights = good;
  sections.weights[1] = static_cast<char>(sections.weights[1] + 27);
  EXPECT_THAT(std::string(Parse(FileOf(sections)).message()), HasSubstr("digits after the last code"));
}

TEST(HostileMetaTest, RefusesMetaThatIsNoMessageOrTooLong) {
  ModelBytes sections = SerializeModel(TinyModel());
  sections.meta = "\xff\xff\xff\xff\xff";
  EXPECT_THAT(std::string(Parse(FileOf(sections)).message()), HasSubstr("META: not a message"));
  sections.meta = std::string(model_format::kMaxMetaBytes + 1, '\0');
  EXPECT_THAT(std::string(Parse(FileOf(sections)).message()), HasSubstr("META: 8388609 bytes"));
}

}  // namespace
}  // namespace bitstage
