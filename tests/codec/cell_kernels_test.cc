// Every set of kernels does what the reference does: the same bytes, the same codes, the same refusals.
#include "engine/codec/cell_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/codec/huffman.h"
#include "engine/codec/kernel_choice.h"
#include "engine/codec/table_fitting.h"
#include "engine/codec/tables.h"
#include "tests/codec/sample_boundary.h"

namespace bitstage::codec {
namespace {

constexpr int64_t kSlack = 64;

struct Case {
  Sample sample;
  CodeTables tables;
  std::vector<uint8_t> codes;
  int64_t pixels = 0;

  int64_t channels() const { return sample.shape[sample.shape.rank() - 1]; }
  CellTables view() const { return compiled.view(); }
  CompiledTables compiled;
};

Case MakeCase(std::mt19937& random, bool with_contexts) {
  Case made;
  Sample& sample = made.sample;
  const auto pick = [&](uint32_t below) { return static_cast<int64_t>(random() % below); };
  // Some are larger than what decoders write straight to its place.
  const bool is_large = pick(32) == 0;
  const int64_t channels = is_large ? 16 << pick(4) : pick(3) == 0 ? 1 + pick(140) : 1 + pick(20);
  sample.shape = {1 + pick(9), 1 + pick(12), channels};
  if (is_large) sample.shape = {24 + pick(9), 40960 / (32 * channels) + pick(12), channels};
  sample.batch = 1 + pick(3);
  const bool pairs = pick(2) == 0;
  sample.grid.bits.clear();
  sample.grid.shift.clear();
  const bool is_uniform = with_contexts || pick(2) == 0;
  for (int64_t c = 0; c < (is_uniform ? 1 : channels); ++c) {
    sample.grid.bits.push_back(static_cast<uint8_t>(1 + pick(pairs ? 4 : 8)));
    sample.grid.shift.push_back(static_cast<uint8_t>(pick(9u - sample.grid.bits.back())));
  }
  const auto seed = static_cast<uint32_t>(random());
  const double scale = pick(2) == 0 ? 0.1 : 0.6;
  FitOptions fit = {.max_tables = static_cast<int>(1 + pick(9)), .max_length = static_cast<int>(6 + pick(6))};
  CellCounts counts(sample.grid, sample.shape, pairs);
  counts.Add(sample.batch, SkewedCodes(sample, seed, scale));
  made.tables = counts.Fit(fit);
  if (with_contexts) {
    CellCounts in_context(sample.grid, sample.shape, made.tables);
    in_context.Add(sample.batch, SkewedCodes(sample, seed, scale));
    made.tables = in_context.Fit(fit);
  }
  EXPECT_TRUE(Validate(made.tables, sample.grid, channels).ok()) << Validate(made.tables, sample.grid, channels);
  made.compiled = CompiledTables(made.tables, sample.grid, channels);
  made.codes = SkewedCodes(sample, seed + 1, scale);
  made.pixels = static_cast<int64_t>(made.codes.size()) / channels;
  return made;
}

// A stream as a kernel leaves it, with the room in front and behind that kernels are promised.
struct Encoded {
  bool fits = false;
  std::vector<uint8_t> bytes;
  int64_t size = 0;  // without the room
  std::vector<uint32_t> lane_bits;
  const uint8_t* stream() const { return bytes.data() + 4; }
  std::vector<int64_t> LaneAt() const {
    std::vector<int64_t> at = {0};
    for (const uint32_t bits : lane_bits) at.push_back(at.back() + bits);
    return at;
  }
};

template <typename Encode>
Encoded RunEncode(const Case& made, int64_t lanes, int64_t limit, const Encode& encode) {
  Encoded result;
  result.lane_bits.resize(static_cast<size_t>(lanes));
  result.bytes.resize(static_cast<size_t>(4 + limit + kSlack + 2 * made.channels() + 8));
  BitSink sink = {result.bytes.data() + 4, 0, 0};
  result.fits = encode(result.bytes.data() + 4 + limit, &sink, result.lane_bits.data());
  if (!result.fits) return result;
  EXPECT_LT(sink.count, 8);
  if (sink.count > 0) *sink.at++ = static_cast<uint8_t>(sink.bits);
  result.size = sink.at - result.stream();
  result.bytes.resize(static_cast<size_t>(4 + result.size));
  result.bytes.insert(result.bytes.end(), 4, 0xa5);
  return result;
}

const std::vector<const CellKernels*>& kAll = SupportedKernels();

// run(kernels): an Encoded; what the reference makes of it.
template <typename Run>
Encoded ExpectAllEncodeAsTheReference(const Run& run) {
  Encoded expected = run(ReferenceKernels());
  for (const CellKernels* kernels : kAll) {
    const Encoded encoded = run(*kernels);
    EXPECT_EQ(encoded.fits, expected.fits) << kernels->name;
    if (!expected.fits) continue;
    EXPECT_TRUE(encoded.bytes == expected.bytes) << kernels->name;
    EXPECT_EQ(encoded.lane_bits, expected.lane_bits) << kernels->name;
  }
  return expected;
}

// The stream as it is and damaged: all accept or refuse it as the reference does, which takes `made.codes` from the
// first. decode(kernels, stream, lane_at, codes): true if accepted.
template <typename Decode>
void ExpectAllDecodeAsTheReference(const Case& made, const Encoded& intact, std::mt19937& random,
                                   const Decode& decode) {
  enum Damage { kNone, kBit, kLaneEnd, kAllBytes, kDamages };
  for (int damage = kNone; damage < kDamages; ++damage) {
    SCOPED_TRACE(damage);
    Encoded damaged = intact;
    std::vector<int64_t> lane_at = damaged.LaneAt();
    const std::span<uint8_t> bytes(damaged.bytes.data() + 4, static_cast<size_t>(damaged.size));
    if (damage == kBit && !bytes.empty()) bytes[random() % bytes.size()] ^= 1u << random() % 8;
    if (damage == kLaneEnd && lane_at.size() > 2) {
      lane_at[1 + random() % (lane_at.size() - 2)] += 1;
      std::sort(lane_at.begin(), lane_at.end());
    }
    if (damage == kAllBytes) {
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    }
    std::vector<uint8_t> by_reference;
    const bool ok = decode(ReferenceKernels(), damaged.stream(), lane_at.data(), by_reference);
    if (damage == kNone) {
      EXPECT_TRUE(ok && by_reference == made.codes);
    }
    for (const CellKernels* kernels : kAll) {
      std::vector<uint8_t> codes;
      EXPECT_EQ(decode(*kernels, damaged.stream(), lane_at.data(), codes), ok) << kernels->name;
      EXPECT_TRUE(!ok || codes == by_reference) << kernels->name;
    }
  }
}

void ExpectPlainStreamsAreTheReferences(const Case& made, std::mt19937& random) {
  const CellTables view = made.view();
  const int64_t rows = view.pairs ? (made.pixels + 1) / 2 : made.pixels;
  const int64_t lane_rows =
      std::max<int64_t>((rows + kMaxLanes - 1) / kMaxLanes, 1 + static_cast<int64_t>(random() % 9));
  const int64_t lanes = (rows + lane_rows - 1) / lane_rows;
  const auto limit = static_cast<int64_t>(random() % 4 != 0 ? 2 * made.codes.size() : made.codes.size() / 4);
  const Encoded encoded = ExpectAllEncodeAsTheReference([&](const CellKernels& kernels) {
    return RunEncode(made, lanes, limit, [&](const uint8_t* end, BitSink* sink, uint32_t* lane_bits) {
      return kernels.encode_plain(view, made.codes.data(), made.pixels, lane_rows, end, sink, lane_bits);
    });
  });
  if (!encoded.fits) return;
  ExpectAllDecodeAsTheReference(
      made, encoded, random,
      [&](const CellKernels& kernels, const uint8_t* stream, const int64_t* lane_at, std::vector<uint8_t>& codes) {
        codes.assign(made.codes.size(), 0xff);
        return kernels.decode_plain(view, stream, lane_at, lanes, lane_rows, made.pixels, codes.data());
      });
}

TEST(CellKernels, PlainStreamsAreTheReferencesByteForByteAndComeBack) {
  std::mt19937 random(1);
  for (int round = 0; round < 400 && !testing::Test::HasFailure(); ++round) {
    ExpectPlainStreamsAreTheReferences(MakeCase(random, false), random);
  }
}

TEST(CellKernels, TheLongestCodesOneBehindTheOtherAreTheReferences) {
  std::mt19937 random(4);
  for (const int bits : {1, 2, 3, 4, 5, 6, 8}) {
    for (const int longest : {7, 8, 11}) {
      for (const bool pairs : {false, true}) {
        if ((pairs && bits > 4) || longest < (pairs ? 2 : 1) * bits) continue;
        SCOPED_TRACE(testing::Message() << bits << " bits, codes of " << longest << ", pairs " << pairs);
        Case made;
        made.sample = {.grid = {.bits = {static_cast<uint8_t>(bits)}, .shift = {0}}, .shape = {6, 7, 24}, .batch = 1};
        // Ever rarer cells: the last ones have codes as long as there are.
        const size_t cells = size_t{1} << (pairs ? 2 * bits : bits);
        std::vector<uint64_t> counts(cells);
        for (size_t cell = 0; cell < cells; ++cell) counts[cell] = uint64_t{1} << (40 - std::min<size_t>(cell, 40));
        made.tables = {.pairs = pairs,
                       .lengths = {TablesFromHistogram(counts, longest)},
                       .group_of_channel = std::vector<uint8_t>(24, 0),
                       .of_context = {}};
        made.compiled = CompiledTables(made.tables, made.sample.grid, 24);
        made.pixels = 42;
        for (size_t i = 0; i < 42 * 24; ++i) {
          const bool is_last = random() % 32 != 0;
          made.codes.push_back(
              static_cast<uint8_t>((is_last ? (1u << bits) - 1 - random() % 2 : random()) & ((1u << bits) - 1)));
        }
        for (int round = 0; round < 4; ++round) ExpectPlainStreamsAreTheReferences(made, random);
      }
    }
  }
}

TEST(CellKernels, StreamsWithContextsAreTheReferencesByteForByteAndComeBack) {
  std::mt19937 random(2);
  for (int round = 0; round < 400 && !testing::Test::HasFailure(); ++round) {
    const Case made = MakeCase(random, true);
    const CellTables view = made.view();
    const int64_t height = made.sample.shape[0];
    const int64_t width = made.sample.shape[1];
    const int64_t all_rows = height * made.sample.batch;
    const auto first = static_cast<int64_t>(random() % static_cast<uint32_t>(all_rows));
    const int64_t rows =
        std::min<int64_t>(kMaxLanes, 1 + static_cast<int64_t>(random() % static_cast<uint32_t>(all_rows - first)));
    const RowBlock block = {width, height, first, first % height != 0 && random() % 2 == 0, rows};
    const int64_t row_codes = width * made.channels();
    const auto limit = static_cast<int64_t>(2 * made.codes.size());
    const Encoded encoded = ExpectAllEncodeAsTheReference([&](const CellKernels& kernels) {
      return RunEncode(made, rows, limit, [&](const uint8_t* end, BitSink* sink, uint32_t* lane_bits) {
        return kernels.encode_contexts(view, made.codes.data() + first * row_codes, block, end, sink, lane_bits);
      });
    });
    ASSERT_TRUE(encoded.fits);
    ExpectAllDecodeAsTheReference(
        made, encoded, random,
        [&](const CellKernels& kernels, const uint8_t* stream, const int64_t* lane_at, std::vector<uint8_t>& codes) {
          codes = made.codes;
          std::fill_n(codes.begin() + first * row_codes, rows * row_codes, 0);
          return kernels.decode_contexts(view, stream, lane_at, block, codes.data() + first * row_codes);
        });
  }
}

TEST(CellKernels, CountsAndChecksAreTheReferences) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    Case made = MakeCase(random, false);
    const CellTables view = made.view();
    const size_t cells = static_cast<size_t>(view.tables) << view.stride_bits;
    std::vector<uint32_t> expected(cells);
    ReferenceKernels().count(view, made.codes.data(), made.pixels, expected.data());
    for (const CellKernels* kernels : kAll) {
      std::vector<uint32_t> counts(cells);
      kernels->count(view, made.codes.data(), made.pixels, counts.data());
      EXPECT_EQ(counts, expected) << kernels->name;
      EXPECT_EQ(kernels->off_grid(view, made.codes.data(), made.pixels), 0) << kernels->name;
    }
    made.codes[random() % made.codes.size()] = static_cast<uint8_t>(random());
    for (const CellKernels* kernels : kAll) {
      EXPECT_EQ(kernels->off_grid(view, made.codes.data(), made.pixels),
                ReferenceKernels().off_grid(view, made.codes.data(), made.pixels))
          << kernels->name;
    }
  }
}

}  // namespace
}  // namespace bitstage::codec
