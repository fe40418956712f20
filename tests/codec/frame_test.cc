#include "engine/codec/frame.h"

#include <gmock/gmock.h>

#include <cmath>

#include "engine/codec/huffman.h"
#include "engine/codec/kernel_choice.h"
#include "tests/codec/sample_boundary.h"

namespace bitstage {
namespace {

using testing::HasSubstr;

constexpr FrameCoding kCodings[] = {FrameCoding::kPreferred, FrameCoding::kStored,   FrameCoding::kPlain,
                                    FrameCoding::kInline,    FrameCoding::kContexts, FrameCoding::kSplit};

// Encodes and decodes by every set of kernels: the same bytes, the same codes.
std::string ExpectRoundTrip(const Sample& sample, const FrameBoundary& boundary, const std::vector<uint8_t>& codes,
                            FrameCoding coding) {
  std::string first;
  for (const codec::CellKernels* kernels : codec::SupportedKernels()) {
    const auto frame = EncodeFrame(boundary, sample.batch, codes, {coding, kernels});
    EXPECT_TRUE(frame.ok()) << frame.status();
    if (!frame.ok()) return "";
    if (first.empty()) first = *frame;
    EXPECT_EQ(*frame, first) << kernels->name << ", " << Name(coding);
    EXPECT_EQ(*FrameBatch(*frame, boundary, sample.batch), sample.batch);
    // On the heap, in its true size: the address sanitizer sees what goes beyond.
    const std::vector<char> exact(frame->begin(), frame->end());
    std::vector<uint8_t> decoded(codes.size(), 0xff);
    const absl::Status status =
        DecodeFrame(absl::string_view(exact.data(), exact.size()), boundary, sample.batch, decoded, kernels);
    EXPECT_TRUE(status.ok()) << status << " " << kernels->name << ", " << Name(coding);
    EXPECT_EQ(decoded, codes) << kernels->name << ", " << Name(coding);
  }
  return first;
}

size_t StoredBytes(const FrameBoundary& boundary, const std::vector<uint8_t>& codes) {
  return (codes.size() / static_cast<size_t>(boundary.channels()) * static_cast<size_t>(boundary.pixel_bits()) + 7) / 8;
}

TEST(Frame, RoundTripsRandomGridsShapesWidthsAndCodingsWithinStoredAnd24Bytes) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    const Sample sample = RandomSample(seed);
    int widest = 0;
    for (const uint8_t bits : sample.grid.bits) widest = std::max<int>(widest, bits);
    const bool has_tables = seed % 4 != 0;
    const bool pairs = seed % 2 == 0 && widest <= 4;
    const FrameBoundary boundary =
        BoundaryOf(sample, has_tables ? CalibratedTables(sample, pairs, seed + 1) : BoundaryTables());
    const std::vector<uint8_t> codes = SkewedCodes(sample, seed, seed % 3 == 0 ? 5 : 0.25);
    for (const FrameCoding coding : kCodings) {
      const std::string frame = ExpectRoundTrip(sample, boundary, codes, coding);
      EXPECT_LE(frame.size(), StoredBytes(boundary, codes) + 24) << Name(coding);
    }
  }
}

TEST(Frame, RoundTripsEveryLengthOfAVectorAndARow) {
  for (int64_t length = 1; length <= 300; ++length) {
    Sample vector;
    vector.shape = {length};
    vector.grid.bits = {4};
    const BoundaryTables of_vector = CalibratedTables(vector, false, 1);
    Sample row;
    row.shape = {1, length, 1};
    row.grid.bits = {3};
    const BoundaryTables of_row = CalibratedTables(row, true, 1);
    for (const FrameCoding coding : kCodings) {
      ExpectRoundTrip(vector, BoundaryOf(vector, of_vector), SkewedCodes(vector, 2), coding);
      ExpectRoundTrip(row, BoundaryOf(row, of_row), SkewedCodes(row, 2), coding);
    }
  }
}

TEST(Frame, RoundTripsAConstantTensorAndASingleElement) {
  Sample sample;
  sample.shape = {1, 1, 1};
  sample.grid.bits = {3};
  ExpectRoundTrip(sample, BoundaryOf(sample), {5}, FrameCoding::kInline);
  sample.shape = {56, 57, 24};
  const FrameBoundary boundary = BoundaryOf(sample, CalibratedTables(sample, true, 1));
  const std::vector<uint8_t> zeros(static_cast<size_t>(sample.shape.elements()), 0);
  for (const FrameCoding coding : kCodings) ExpectRoundTrip(sample, boundary, zeros, coding);
  // A table of one cell has no bits to send.
  EXPECT_LT(EncodeFrame(boundary, 1, zeros, {FrameCoding::kInline})->size(), 60u);
}

TEST(Frame, RoundTripsTensorsUpToAHundredThousandCodes) {
  for (const auto& [height, width, channels, bits] :
       {std::tuple(32, 32, 16, 3), std::tuple(16, 16, 32, 4), std::tuple(8, 8, 64, 3), std::tuple(13, 13, 512, 3),
        std::tuple(7, 7, 512, 4), std::tuple(55, 55, 33, 5), std::tuple(200, 5, 100, 8), std::tuple(1, 1, 100000, 4)}) {
    Sample sample;
    sample.shape = {height, width, channels};
    sample.grid.bits = {static_cast<uint8_t>(bits)};
    const FrameBoundary boundary = BoundaryOf(sample, CalibratedTables(sample, bits <= 4, 1));
    const std::vector<uint8_t> codes = SkewedCodes(sample, 7);
    for (const FrameCoding coding : kCodings) ExpectRoundTrip(sample, boundary, codes, coding);
  }
}

TEST(Frame, StaticTablesComeWithinAFewPercentOfTheEntropy) {
  Sample sample;
  sample.shape = {28, 28, 64};
  sample.grid.bits = {4};
  CellCounts calibrated(sample.grid, sample.shape, /*pairs=*/true);
  for (const uint32_t seed : {3u, 5u, 6u, 7u, 8u}) calibrated.Add(1, SkewedCodes(sample, seed));
  BoundaryTables tables;
  tables.plain = calibrated.Fit({.max_tables = 1});
  tables.preferred = FrameCoding::kPlain;
  const FrameBoundary boundary = BoundaryOf(sample, tables);
  const std::vector<uint8_t> codes = SkewedCodes(sample, 4);
  double entropy = 0;
  std::vector<double> counts(16);
  for (const uint8_t code : codes) ++counts[code];
  for (const double count : counts) {
    if (count > 0) entropy -= count * std::log2(count / static_cast<double>(codes.size()));
  }
  const auto frame = EncodeFrame(boundary, 1, codes);
  EXPECT_LT(8.0 * static_cast<double>(frame->size()), 1.05 * entropy);
}

TEST(Frame, ContextsSaveWhereNeighboursAreAlike) {
  Sample sample;
  sample.shape = {32, 32, 16};
  sample.grid.bits = {3};
  const auto smooth = [&](uint32_t seed) {
    std::vector<uint8_t> codes = SkewedCodes(sample, seed, 0.6);
    for (size_t i = 16; i < codes.size(); ++i) {
      if (i % 5 != 0) codes[i] = codes[i - 16];
    }
    return codes;
  };
  BoundaryTables tables;
  CellCounts counts(sample.grid, sample.shape, true);
  counts.Add(1, smooth(1));
  tables.plain = counts.Fit({.max_tables = 4, .max_length = 8});
  CellCounts in_context(sample.grid, sample.shape, tables.plain);
  in_context.Add(1, smooth(1));
  tables.contexts = in_context.Fit({.max_tables = 32});
  const FrameBoundary boundary = BoundaryOf(sample, tables);
  const std::vector<uint8_t> codes = smooth(2);
  EXPECT_LT(static_cast<double>(EncodeFrame(boundary, 1, codes, {FrameCoding::kContexts})->size()),
            0.8 * static_cast<double>(EncodeFrame(boundary, 1, codes, {FrameCoding::kPlain})->size()));
}

TEST(Frame, SplitIsTheShiftingErrorsHuffmanCodePlusTheRestAsItIs) {
  // (3, 3): channels 0 and 2 are important.
  Sample sample;
  sample.shape = {16, 16, 4};
  sample.grid.bits = {6, 3, 6, 3};
  sample.grid.shift = {0, 3, 0, 3};
  const FrameBoundary boundary = BoundaryOf(sample);
  const std::vector<uint8_t> codes = SkewedCodes(sample, 1);
  const std::string frame = ExpectRoundTrip(sample, boundary, codes, FrameCoding::kSplit);
  EXPECT_EQ(CodingOf(frame), FrameCoding::kSplit);
  int64_t bits = 3 * static_cast<int64_t>(codes.size());
  for (const size_t channel : {0u, 2u}) {
    std::vector<uint64_t> errors(8);
    for (size_t i = channel; i < codes.size(); i += 4) ++errors[codes[i] & 7];
    bits += 8 * 3 + CodedBits(errors, *HuffmanLengths(errors, 7));
  }
  constexpr size_t kHeader = 1 + 1 + 4 + 2 + 1 + 4;
  EXPECT_EQ(frame.size(), kHeader + static_cast<size_t>((bits + 7) / 8));
}

TEST(Frame, ComesInPartsInAnyOrder) {
  Sample sample;
  sample.shape = {9, 7, 5};
  sample.batch = 2;
  sample.grid.bits = {3};
  const FrameBoundary boundary = BoundaryOf(sample, CalibratedTables(sample, true, 1));
  const std::vector<uint8_t> codes = SkewedCodes(sample, 2);
  for (const FrameCoding coding : kCodings) {
    std::vector<std::string> parts;
    for (const RowRange rows : {RowRange{0, 4}, RowRange{4, 1}, RowRange{5, 9}, RowRange{14, 4}}) {
      const auto part = EncodeFramePart(
          boundary, 2, rows,
          std::span(codes).subspan(static_cast<size_t>(rows.first * 35), static_cast<size_t>(rows.count * 35)),
          {coding});
      ASSERT_TRUE(part.ok()) << part.status();
      parts.push_back(*part);
    }
    std::vector<uint8_t> decoded(codes.size());
    FrameAssembler assembler(boundary, 2, decoded);
    for (const size_t i : {2u, 0u, 3u, 1u}) {
      EXPECT_FALSE(assembler.Complete());
      EXPECT_TRUE(assembler.Add(parts[i]).ok());
    }
    EXPECT_TRUE(assembler.Complete());
    EXPECT_EQ(decoded, codes) << Name(coding);
    EXPECT_THAT(std::string(assembler.Add(parts[1]).message()), HasSubstr("brings row 4 again"));
    EXPECT_EQ(DecodeFrame(parts[0], boundary, 2, decoded).code(), absl::StatusCode::kInvalidArgument);
  }
}

// A stage that computes band after band and one that consumes it so need one band's room, nothing more: neither side
// sees the rest of the tensor, and what has come is there at once.
TEST(Frame, StreamsInBandsThroughTheRoomOfOne) {
  Sample sample;
  sample.shape = {30, 7, 16};
  sample.batch = 2;
  sample.grid.bits = {3};
  const FrameBoundary boundary = BoundaryOf(sample, CalibratedTables(sample, true, 1));
  const std::vector<uint8_t> codes = SkewedCodes(sample, 2);
  constexpr int64_t kBand = 4;
  constexpr size_t kRowCodes = 7 * 16;
  for (const FrameCoding coding :
       {FrameCoding::kStored, FrameCoding::kPlain, FrameCoding::kInline, FrameCoding::kContexts}) {
    std::vector<std::byte> room(FrameRoom(boundary, kBand));
    EXPECT_LT(room.size(), codes.size());
    std::vector<uint8_t> decoded(codes.size(), 0xff);
    FrameAssembler assembler(boundary, 2, decoded);
    for (int64_t row = 0; row < 60; row += kBand) {
      const auto begin = static_cast<size_t>(row) * kRowCodes;
      const std::vector<uint8_t> band(codes.begin() + static_cast<std::ptrdiff_t>(begin),
                                      codes.begin() + static_cast<std::ptrdiff_t>(begin + kBand * kRowCodes));
      const auto part = EncodeFrameInto(boundary, 2, {row, kBand}, band, {coding}, room);
      ASSERT_TRUE(part.ok()) << part.status();
      EXPECT_EQ(CodingOf({reinterpret_cast<const char*>(part->data()), part->size()}), coding);
      ASSERT_TRUE(assembler.Add({reinterpret_cast<const char*>(part->data()), part->size()}).ok());
      EXPECT_TRUE(std::equal(band.begin(), band.end(), decoded.begin() + static_cast<std::ptrdiff_t>(begin)));
      EXPECT_EQ(assembler.Complete(), row + kBand == 60);
      if (row + kBand < 60) {
        EXPECT_EQ(decoded[begin + kBand * kRowCodes], 0xff) << "nothing beyond the band is written";
      }
    }
    EXPECT_EQ(decoded, codes);
  }
}

TEST(Frame, FallsBackToWhatTheBoundaryCanDo) {
  Sample sample;
  sample.shape = {16, 16, 32};
  sample.grid.bits = {4};
  const std::vector<uint8_t> codes = SkewedCodes(sample, 1);
  const FrameBoundary without = BoundaryOf(sample);
  for (const FrameCoding coding : {FrameCoding::kPlain, FrameCoding::kContexts, FrameCoding::kSplit}) {
    EXPECT_EQ(CodingOf(*EncodeFrame(without, 1, codes, {coding})), FrameCoding::kInline);
  }
  const FrameBoundary with = BoundaryOf(sample, CalibratedTables(sample, true, 1));
  for (const FrameCoding coding :
       {FrameCoding::kPlain, FrameCoding::kContexts, FrameCoding::kInline, FrameCoding::kStored}) {
    EXPECT_EQ(CodingOf(*EncodeFrame(with, 1, codes, {coding})), coding);
  }
  EXPECT_EQ(CodingOf(*EncodeFrame(with, 1, codes)), FrameCoding::kPlain);
}

TEST(Frame, StoresAtTheTrueWidthWhatDoesNotCompress) {
  Sample sample;
  sample.shape = {16, 16, 8};
  sample.grid.bits = {5};
  const FrameBoundary boundary = BoundaryOf(sample, CalibratedTables(sample, false, 1));
  std::mt19937 random(1);
  std::vector<uint8_t> codes(2048);
  for (uint8_t& code : codes) code = random() % 32;
  for (const FrameCoding coding : kCodings) {
    const auto frame = EncodeFrame(boundary, 1, codes, {coding});
    EXPECT_EQ(CodingOf(*frame), FrameCoding::kStored);
    EXPECT_LE(frame->size(), 2048u * 5 / 8 + 18);
  }
}

TEST(EncodeFrame, RefusesCodesThatAreNotOnTheGrid) {
  const Sample sample = DqaSample();
  const FrameBoundary boundary = BoundaryOf(sample);
  std::vector<uint8_t> codes = SkewedCodes(sample, 1);
  codes[6] = 32;
  EXPECT_THAT(std::string(EncodeFrame(boundary, 1, codes).status().message()),
              HasSubstr("code 32 at position 6 is not on the grid of channel 0"));
  codes[6] = 31;
  codes[7] = 1;
  EXPECT_EQ(EncodeFrame(boundary, 1, codes).status().code(), absl::StatusCode::kInvalidArgument);
  codes.pop_back();
  EXPECT_EQ(EncodeFrame(boundary, 1, codes).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodeFrame(boundary, 0, {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodeFrame(boundary, int64_t{1} << 62, {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodeFramePart(boundary, 1, {6, 2}, std::vector<uint8_t>(60)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(EncodeFrameInto, RefusesTooLittleRoom) {
  const Sample sample = DqaSample();
  const FrameBoundary boundary = BoundaryOf(sample);
  const std::vector<uint8_t> codes = SkewedCodes(sample, 1);
  std::vector<std::byte> room(FrameRoom(boundary, 7));
  EXPECT_TRUE(EncodeFrameInto(boundary, 1, {0, 7}, codes, {}, room).ok());
  EXPECT_EQ(EncodeFrameInto(boundary, 1, {0, 7}, codes, {}, std::span(room).first(room.size() - 1)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(FrameBoundary, RefusesShapesGridsAndTablesThatAreNotValid) {
  const auto code = [](const Shape& shape, const Grid& grid, const BoundaryTables& tables) {
    return FrameBoundary::Create("x", shape, grid, tables).status().code();
  };
  const Grid grid{.bits = {2}};
  const auto plain = [](std::vector<std::vector<uint8_t>> lengths, std::vector<uint8_t> groups) {
    BoundaryTables tables;
    tables.plain.lengths = std::move(lengths);
    tables.plain.group_of_channel = std::move(groups);
    return tables;
  };
  EXPECT_EQ(code({3}, grid, {}), absl::StatusCode::kOk);
  EXPECT_EQ(code({2, 3}, grid, {}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({0}, grid, {}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({1 << 20, 1 << 20, 1}, grid, {}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({3}, Grid{.bits = {9}}, {}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({3}, grid, plain({{1, 2, 3, 3}}, {0, 0, 0})), absl::StatusCode::kOk);
  EXPECT_EQ(code({3}, grid, plain({{1, 2, 3, 3}}, {0, 0})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({3}, grid, plain({{1, 2, 3, 3}}, {0, 1, 0})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({3}, grid, plain({{1, 2, 3}}, {0, 0, 0})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({3}, grid, plain({{1, 2, 2, 0}}, {0, 0, 0})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({3}, grid, plain({{1, 1, 3, 3}}, {0, 0, 0})), absl::StatusCode::kInvalidArgument);
}

TEST(FrameBoundary, IdentityFollowsEverythingThatBothEndsMustShare) {
  const Sample sample = DqaSample();
  const BoundaryTables tables = CalibratedTables(sample, false, 1);
  const uint64_t identity = BoundaryOf(sample, tables).identity();
  EXPECT_EQ(identity, BoundaryOf(sample, tables).identity());
  EXPECT_NE(identity, FrameBoundary::Create("other", sample.shape, sample.grid, tables)->identity());
  EXPECT_NE(identity, BoundaryOf(sample).identity());
  BoundaryTables other = tables;
  std::swap(other.plain.lengths[0][0], other.plain.lengths[0][3]);
  EXPECT_TRUE(other == tables || identity != BoundaryOf(sample, other).identity());
  Sample moved = sample;
  moved.grid.step = {2.0f};
  EXPECT_NE(identity, BoundaryOf(moved, tables).identity());
  moved = sample;
  moved.shape = {5, 7, 6};
  EXPECT_NE(identity, BoundaryOf(moved, tables).identity());
}

}  // namespace
}  // namespace bitstage
