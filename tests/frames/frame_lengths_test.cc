// Every implementation writes the same frame and reads the same codes back, whatever the number of codes.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <random>
#include <set>

#include "engine/base/progress.h"
#include "engine/codec/frame.h"
#include "engine/codec/kernel_choice.h"
#include "engine/codec/table_fitting.h"
#include "tests/frames/block_tensors.h"
#include "tests/support/shared_data.h"

namespace bitstage {
namespace {

constexpr int64_t kMostCodes = 100'000;

// Codes to take the first so-and-so-many of, and the tables made from them.
struct Source {
  Grid grid;
  std::vector<uint8_t> codes;  // kMostCodes at least
  bool pairs = false;
  CodeTables plain;     // of up to four groups, for as many channels as there were
  CodeTables contexts;  // empty where channels differ
};

Source SourceOf(const Grid& grid, const Shape& shape, std::vector<uint8_t> codes, bool pairs) {
  const auto images = static_cast<int64_t>(codes.size()) / shape.elements();
  Source source = {.grid = grid, .codes = std::move(codes), .pairs = pairs, .plain = {}, .contexts = {}};
  CellCounts counts(grid, shape, pairs);
  counts.Add(images, source.codes);
  source.plain = counts.Fit({.max_tables = 4, .max_length = pairs ? 11 : std::min(11, grid.bits[0] + 3)});
  CellCounts in_context(grid, shape, source.plain);
  in_context.Add(images, source.codes);
  source.contexts = in_context.Fit({.max_tables = 16});
  return source;
}

// An image of `length` codes: as many channels as divide it, up to 64, and about as high as wide.
Shape ImageOf(int64_t length) {
  int64_t channels = 64;
  while (length % channels != 0) --channels;
  const int64_t pixels = length / channels;
  int64_t height = 1;
  for (int64_t h = 2; h * h <= pixels; ++h) {
    if (pixels % h == 0) height = h;
  }
  return {height, pixels / height, channels};
}

// The same tables for other channels: c has the group c % groups.
CodeTables ForChannels(CodeTables tables, int64_t channels) {
  const auto groups = std::min<int64_t>(
      channels, 1 + *std::max_element(tables.group_of_channel.begin(), tables.group_of_channel.end()));
  const size_t had = tables.of_context.empty()
                         ? tables.lengths.size()
                         : 1 + *std::max_element(tables.group_of_channel.begin(), tables.group_of_channel.end());
  tables.group_of_channel.clear();
  for (int64_t c = 0; c < channels; ++c) tables.group_of_channel.push_back(static_cast<uint8_t>(c % groups));
  if (tables.of_context.empty()) {
    tables.lengths.resize(static_cast<size_t>(groups));
  } else {
    tables.of_context.resize(tables.of_context.size() / had * static_cast<size_t>(groups));
  }
  return tables;
}

FrameBoundary BoundaryOf(const Source& source, const Shape& shape, bool one_table) {
  const int64_t channels = shape[shape.rank() - 1];
  BoundaryTables tables;
  tables.plain = ForChannels(source.plain, channels);
  tables.contexts = ForChannels(source.contexts, channels);
  if (one_table) {
    tables.plain.lengths.resize(1);
    std::fill(tables.plain.group_of_channel.begin(), tables.plain.group_of_channel.end(), 0);
  }
  const auto boundary = FrameBoundary::Create("block", shape, source.grid, tables);
  EXPECT_TRUE(boundary.ok()) << boundary.status();
  return *boundary;
}

// The first of SupportedKernels() is the reference. Buffers are kept from length to length.
class Sweep {
 public:
  void Check(const Source& source, int64_t length) {
    const Shape shape = ImageOf(length);
    const FrameBoundary boundary = BoundaryOf(source, shape, length % 2 == 0);
    const std::span<const uint8_t> codes = std::span(source.codes).first(static_cast<size_t>(length));
    for (const FrameCoding coding :
         {FrameCoding::kStored, FrameCoding::kPlain, FrameCoding::kInline, FrameCoding::kContexts}) {
      expected_.clear();
      for (const codec::CellKernels* kernels : codec::SupportedKernels()) {
        room_.resize(std::max(room_.size(), FrameRoom(boundary, boundary.height())));
        const auto frame = EncodeFrameInto(boundary, 1, {0, boundary.height()}, codes, {coding, kernels}, room_);
        ASSERT_TRUE(frame.ok()) << frame.status();
        const absl::string_view bytes(reinterpret_cast<const char*>(frame->data()), frame->size());
        if (expected_.empty()) expected_ = std::string(bytes);
        ASSERT_TRUE(bytes == expected_) << kernels->name << " " << Name(coding) << ", " << length << " codes as "
                                        << shape.ToString();
        decoded_.assign(codes.size(), 0xff);
        const absl::Status status = DecodeFrame(bytes, boundary, 1, decoded_, kernels);
        ASSERT_TRUE(status.ok()) << status << " " << kernels->name << " " << Name(coding) << ", " << length;
        ASSERT_TRUE(std::equal(codes.begin(), codes.end(), decoded_.begin()))
            << kernels->name << " " << Name(coding) << ", " << length << " codes as " << shape.ToString();
      }
    }
  }

 private:
  std::vector<std::byte> room_;
  std::string expected_;
  std::vector<uint8_t> decoded_;
};

// Many zeros, as behind a ReLU.
Source RandomSource(int bits, bool pairs) {
  std::mt19937 random(static_cast<uint32_t>(bits));
  std::normal_distribution<double> normal(0, 0.3);
  const int top = (1 << bits) - 1;
  std::vector<uint8_t> codes(static_cast<size_t>(kMostCodes + 96));  // 1001 images
  for (uint8_t& code : codes) code = static_cast<uint8_t>(std::clamp(normal(random) * top, 0.0, double(top)));
  return SourceOf(Grid{.bits = {static_cast<uint8_t>(bits)}}, {10, 2, 5}, std::move(codes), pairs);
}

std::vector<Source> RandomSources() {
  return {RandomSource(3, true), RandomSource(4, true), RandomSource(5, false), RandomSource(8, false)};
}

// The first block's outputs of seven images; empty where the shared networks are absent.
std::vector<Source> RealSources() {
  const auto network = SharedPath("data/models/cifar10_resnet20/model.onnx");
  const auto images = SharedPath("data/cifar10/test_batch_first800.bin");
  std::vector<Source> sources;
  if (!network || !images) return sources;
  for (const auto& [bits, pairs] : {std::pair(3, true), {4, true}, {5, false}}) {
    auto tensors = BlockTensors(*network, *images, bits, {.calibration = 8, .coded = 7});
    EXPECT_TRUE(tensors.ok()) << tensors.status();
    BlockTensor& first = tensors->front();
    Grid grid = first.grid;
    grid.step = {1.0f};  // of any number of channels
    sources.push_back(SourceOf(grid, first.shape, std::move(first.codes), pairs));
  }
  return sources;
}

// All to a thousand; around what lanes, groups and registers are made of; primes from there.
std::set<int64_t> SomeLengths() {
  std::set<int64_t> lengths;
  for (int64_t length = 1; length <= 1000; ++length) lengths.insert(length);
  for (const int64_t block : {1024, 2048, 4096, 8192, 16384, 32768, 65536}) {
    for (const int64_t length : {block - 64, block - 1, block, block + 1, block + 16, block + 64, block * 3 / 2}) {
      if (length <= kMostCodes) lengths.insert(length);
    }
  }
  for (const int64_t prime : {1009, 1511, 2003, 3001, 4999, 7993, 10007, 16381, 24989, 49999, 65521, 99991}) {
    lengths.insert(prime);
  }
  lengths.insert(kMostCodes);
  return lengths;
}

void CheckAll(const std::vector<Source>& sources, const std::set<int64_t>& lengths, const char* what) {
  Sweep sweep;
  Progress progress(what, static_cast<int64_t>(lengths.size()), Progress::StandardError());
  for (const int64_t length : lengths) {
    for (const Source& source : sources) {
      sweep.Check(source, length);
      if (::testing::Test::HasFatalFailure()) return;
    }
    progress.Advance();
  }
}

TEST(FrameLengths, RandomCodesOfManyLengthsGiveEqualFramesAndComeBack) {
  CheckAll(RandomSources(), SomeLengths(), "random codes");
}

TEST(FrameLengths, RealCodesOfManyLengthsGiveEqualFramesAndComeBack) {
  const std::vector<Source> sources = RealSources();
  if (sources.empty()) GTEST_SKIP() << "SKIPPED FOR LACK OF DATA";
  CheckAll(sources, SomeLengths(), "real codes");
}

TEST(FrameLengths, NoCodesAreNoFrame) {
  for (const Shape& shape : {Shape{0}, Shape{1, 0, 1}, Shape{0, 4, 4}}) {
    EXPECT_EQ(FrameBoundary::Create("block", shape, Grid{.bits = {3}}, {}).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  const FrameBoundary boundary = BoundaryOf(RandomSources().front(), {1, 1, 1}, true);
  for (const codec::CellKernels* kernels : codec::SupportedKernels()) {
    EXPECT_EQ(EncodeFrame(boundary, 0, {}, {FrameCoding::kPlain, kernels}).status().code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(EncodeFramePart(boundary, 1, {0, 0}, {}, {FrameCoding::kPlain, kernels}).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

// Hours on a busy core; run by hand: frames_test --gtest_also_run_disabled_tests --gtest_filter='*EveryLength*'
std::set<int64_t> EveryLength() {
  std::set<int64_t> lengths;
  for (int64_t length = 1; length <= kMostCodes; ++length) lengths.insert(length);
  return lengths;
}

TEST(FrameLengths, DISABLED_EveryLengthOfRandomCodes) { CheckAll(RandomSources(), EveryLength(), "random codes"); }

TEST(FrameLengths, DISABLED_EveryLengthOfRealCodes) {
  const std::vector<Source> sources = RealSources();
  ASSERT_FALSE(sources.empty());
  CheckAll(sources, EveryLength(), "real codes");
}

}  // namespace
}  // namespace bitstage
