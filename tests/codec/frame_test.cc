#include "engine/codec/frame.h"

#include <gmock/gmock.h>

#include <map>

#include "tests/codec/sample_boundary.h"

namespace bitstage {
namespace {

using testing::ElementsAre;

constexpr FrameCoding kCodings[] = {FrameCoding::kSmallest, FrameCoding::kStored, FrameCoding::kStatic,
                                    FrameCoding::kInline};

void ExpectRoundTrip(const Sample& sample, const FrameBoundary& boundary, const std::vector<uint8_t>& codes,
                     const FrameOptions& options) {
  const auto frame = EncodeFrame(boundary, sample.batch, codes, options);
  ASSERT_TRUE(frame.ok()) << frame.status();
  std::vector<uint8_t> decoded(codes.size(), 0xaa);
  const absl::Status status = DecodeFrame(*frame, boundary, sample.batch, decoded);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(decoded, codes);
  EXPECT_EQ(*FrameBatch(*frame, boundary, 100), sample.batch);
}

TEST(Frame, RoundTripsRandomGridsShapesWidthsTablesAndStreams) {
  for (uint32_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    const Sample sample = RandomSample(seed);
    const int64_t channels = sample.shape[sample.shape.rank() - 1];
    std::vector<std::vector<uint8_t>> tables;
    if (seed % 4 != 0) tables = CalibratedTables(sample, 1 + seed % channels, seed + 1000);
    const FrameBoundary boundary = BoundaryOf(sample, tables);
    const std::vector<uint8_t> codes = SkewedCodes(sample, seed, 0.1 + 0.3 * (seed % 5));
    for (const FrameCoding coding : kCodings) {
      ExpectRoundTrip(sample, boundary, codes, {coding, static_cast<int>(1 + seed % 9)});
    }
  }
}

TEST(Frame, RoundTripsAConstantTensorAndASingleElement) {
  Sample sample;
  sample.shape = {4, 4, 3};
  sample.grid.bits = {4};
  const FrameBoundary boundary = BoundaryOf(sample);
  for (const uint8_t value : {0, 7, 15}) {
    for (const FrameCoding coding : kCodings) {
      ExpectRoundTrip(sample, boundary, std::vector<uint8_t>(48, value), {coding, 2});
    }
  }
  sample.shape = {1};
  const FrameBoundary scalar = BoundaryOf(sample);
  for (const FrameCoding coding : kCodings) ExpectRoundTrip(sample, scalar, {9}, {coding, 64});
}

TEST(Frame, RoundTripsALargeTensorAtEveryNumberOfStreams) {
  Sample sample;
  sample.shape = {32, 32, 17};
  sample.grid.bits = {4};
  const FrameBoundary boundary = BoundaryOf(sample, CalibratedTables(sample, 17, 1));
  const std::vector<uint8_t> codes = SkewedCodes(sample, 2);
  for (const int streams : {1, 2, 3, 4, 5, 8, 33, 64})
    ExpectRoundTrip(sample, boundary, codes, {FrameCoding::kStatic, streams});
}

TEST(Frame, StaticTablesComeWithinAFewPercentOfTheEntropy) {
  Sample sample;
  sample.shape = {56, 56, 64};
  sample.grid.bits = {4};
  const FrameBoundary boundary = BoundaryOf(sample, CalibratedTables(sample, 1, 3));
  const std::vector<uint8_t> codes = SkewedCodes(sample, 4);
  std::map<uint8_t, double> counts;
  for (const uint8_t code : codes) counts[code] += 1;
  const auto total = static_cast<double>(codes.size());
  double entropy = 0;
  for (const auto& [code, count] : counts) entropy -= count / total * std::log2(count / total);
  const auto frame = EncodeFrame(boundary, 1, codes);
  ASSERT_TRUE(frame.ok());
  const double bits = 8.0 * static_cast<double>(frame->size()) / total;
  EXPECT_LT(bits, 1.05 * entropy);
  EXPECT_GE(bits, entropy);
}

TEST(Frame, ATablePerChannelPaysWhereChannelsDiffer) {
  Sample sample;
  sample.shape = {16, 16, 8};
  sample.grid.bits = {4};
  std::vector<uint8_t> codes(16 * 16 * 8);
  std::mt19937 random(5);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<uint8_t>(i % 8 + random() % 4);
  SymbolCounts counts(sample.grid, 8);
  counts.Add(codes);
  EXPECT_LT(*counts.BitsPerSymbol(8), 0.8 * *counts.BitsPerSymbol(1));
  EXPECT_EQ(counts.BestTableCount(), 8);
  const FrameBoundary one = BoundaryOf(sample, *counts.Tables(1));
  const FrameBoundary each = BoundaryOf(sample, *counts.Tables(8));
  const FrameOptions options = {FrameCoding::kStatic, 1};
  EXPECT_LT(EncodeFrame(each, 1, codes, options)->size(),
            0.8 * static_cast<double>(EncodeFrame(one, 1, codes, options)->size()));
}

TEST(Frame, StoresAtTheTrueWidthWhatDoesNotCompress) {
  Sample sample = DqaSample();
  sample.shape = {40, 40, 6};
  std::mt19937 random(6);
  std::vector<uint8_t> codes(40 * 40 * 6);
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto c = static_cast<int64_t>(i % 6);
    codes[i] =
        static_cast<uint8_t>((random() & static_cast<uint32_t>(sample.grid.MaxSymbol(c))) << sample.grid.ShiftOf(c));
  }
  const FrameBoundary boundary = BoundaryOf(sample);
  const size_t packed = 40 * 40 * (2 * 5 + 4 * 3) / 8;
  const auto frame = EncodeFrame(boundary, 1, codes);
  EXPECT_LE(frame->size(), packed + 70);
  EXPECT_GE(frame->size(), packed);
}

TEST(Frame, FallsBackWhereTheStaticTableLacksASymbol) {
  Sample sample;
  sample.shape = {8, 8, 1};
  sample.grid.bits = {2};
  const FrameBoundary boundary = BoundaryOf(sample, {{1, 2, 2, 0}});
  std::vector<uint8_t> codes(64, 1);
  codes[5] = 3;
  ExpectRoundTrip(sample, boundary, codes, {FrameCoding::kStatic, 1});
}

TEST(Frame, IsTheSameBytesEveryTime) {
  const Sample sample = DqaSample();
  const std::vector<uint8_t> codes = SkewedCodes(sample, 7);
  EXPECT_EQ(*EncodeFrame(BoundaryOf(sample), 1, codes), *EncodeFrame(BoundaryOf(sample), 1, codes));
}

TEST(EncodeFrame, RefusesCodesThatAreNotOnTheGrid) {
  const Sample sample = DqaSample();
  const FrameBoundary boundary = BoundaryOf(sample);
  std::vector<uint8_t> codes = SkewedCodes(sample, 8);
  codes[7] |= 1;  // channel 1 has a shift of 2
  EXPECT_EQ(EncodeFrame(boundary, 1, codes).status().code(), absl::StatusCode::kInvalidArgument);
  codes = SkewedCodes(sample, 8);
  codes[6] = 32;  // channel 0 ends at 31
  EXPECT_EQ(EncodeFrame(boundary, 1, codes).status().code(), absl::StatusCode::kInvalidArgument);
  codes.pop_back();
  EXPECT_EQ(EncodeFrame(boundary, 1, codes).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodeFrame(boundary, 0, {}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(AssignTables, FollowsTheTableOfTheFormat) {
  const Grid grid = DqaSample().grid;
  EXPECT_THAT(AssignTables(grid, 6, 1)->of_channel, ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THAT(AssignTables(grid, 6, 2)->of_channel, ElementsAre(1, 0, 0, 1, 0, 0));
  EXPECT_THAT(AssignTables(grid, 6, 2)->width, ElementsAre(3, 5));
  EXPECT_THAT(AssignTables(grid, 6, 3)->of_channel, ElementsAre(0, 0, 1, 1, 2, 2));
  EXPECT_THAT(AssignTables(grid, 6, 3)->width, ElementsAre(5, 5, 3));
  EXPECT_THAT(AssignTables(grid, 6, 6)->of_channel, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_FALSE(AssignTables(grid, 6, 0).ok());
  EXPECT_FALSE(AssignTables(grid, 6, 7).ok());
}

TEST(FrameBoundary, RefusesShapesGridsAndTablesThatAreNotValid) {
  const Sample sample = DqaSample();
  const auto code = [](const Shape& shape, const Grid& grid, const std::vector<std::vector<uint8_t>>& tables) {
    return FrameBoundary::Create("x", shape, grid, tables).status().code();
  };
  EXPECT_EQ(code(sample.shape, sample.grid, {}), absl::StatusCode::kOk);
  EXPECT_EQ(code({}, sample.grid, {}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({7, 0, 6}, sample.grid, {}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({int64_t{1} << 40, int64_t{1} << 40, 6}, sample.grid, {}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({7, 5, 5}, sample.grid, {}), absl::StatusCode::kInvalidArgument);  // a grid of 6 channels
  EXPECT_EQ(code(sample.shape, sample.grid, {{1, 1}}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(sample.shape, sample.grid, {std::vector<uint8_t>(32, 4)}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(sample.shape, sample.grid, {std::vector<uint8_t>(32, 5)}), absl::StatusCode::kOk);
}

TEST(FrameBoundary, IdentityFollowsEverythingThatBothEndsMustShare) {
  const Sample sample = DqaSample();
  const uint64_t identity = BoundaryOf(sample).identity();
  EXPECT_EQ(identity, BoundaryOf(sample).identity());
  EXPECT_NE(identity, FrameBoundary::Create("other", sample.shape, sample.grid, {})->identity());
  EXPECT_NE(identity, BoundaryOf(sample, CalibratedTables(sample, 1, 1)).identity());
  Sample other = sample;
  other.grid.step = {0.5f};
  EXPECT_NE(identity, BoundaryOf(other).identity());
  other = sample;
  other.shape = {5, 7, 6};
  EXPECT_NE(identity, BoundaryOf(other).identity());
}

}  // namespace
}  // namespace bitstage
