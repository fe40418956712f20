#include "engine/codec/huffman.h"
#include "engine/codec/tables.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <random>

#include "tests/support/shared_data.h"

namespace bitstage {
namespace {

using nlohmann::json;
using testing::ElementsAre;

int64_t TotalBits(const std::vector<uint64_t>& counts, int limit) {
  const auto lengths = HuffmanLengths(counts, limit);
  EXPECT_TRUE(lengths.ok()) << lengths.status();
  return CodedBits(counts, *lengths);
}

std::string CodeString(uint16_t code, int length) {
  std::string digits;
  for (int i = length - 1; i >= 0; --i) digits += (code >> i & 1) != 0 ? '1' : '0';
  return digits;
}

// The least Σ count · length over all lengths of at most `limit` that satisfy Kraft's inequality.
int64_t BestByTryingAll(const std::vector<uint64_t>& counts, int limit) {
  int64_t best = std::numeric_limits<int64_t>::max();
  const std::function<void(size_t, int, int64_t)> extend = [&](size_t symbol, int room, int64_t bits) {
    if (symbol == counts.size()) {
      best = std::min(best, bits);
      return;
    }
    for (int length = 1; length <= limit; ++length) {
      const int needed = 1 << (limit - length);
      if (needed <= room) extend(symbol + 1, room - needed, bits + static_cast<int64_t>(counts[symbol]) * length);
    }
  };
  extend(0, 1 << limit, 0);
  return best;
}

TEST(HuffmanLengths, AreOptimalAgainstEveryOtherCodeOfSmallAlphabets) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const size_t symbols = 2 + random() % 5;
    std::vector<uint64_t> counts(symbols);
    for (uint64_t& count : counts) count = 1 + (random() % 3 == 0 ? random() % 1000 : random() % 6);
    for (int limit = 3; limit <= 5; ++limit) {
      EXPECT_EQ(TotalBits(counts, limit), BestByTryingAll(counts, limit)) << testing::PrintToString(counts) << limit;
    }
  }
}

TEST(HuffmanLengths, AreWithinTheLimitAndValidForEveryAlphabetSize) {
  std::mt19937 random(2);
  for (size_t symbols = 1; symbols <= 256; symbols += symbols < 20 ? 1 : 17) {
    std::vector<uint64_t> counts(symbols);
    for (uint64_t& count : counts) count = uint64_t{1} << random() % 40;
    const auto lengths = HuffmanLengths(counts, kMaxCodeLength);
    ASSERT_TRUE(lengths.ok());
    EXPECT_TRUE(ValidateLengths(*lengths).ok()) << ValidateLengths(*lengths);
  }
}

TEST(HuffmanLengths, ASingleSymbolHasOneBitAndTheOthersNone) {
  EXPECT_THAT(*HuffmanLengths(std::vector<uint64_t>{0, 0, 9, 0}, 11), ElementsAre(0, 0, 1, 0));
}

TEST(HuffmanLengths, RefuseNoSymbolsAndTooManyForTheLimit) {
  EXPECT_EQ(HuffmanLengths(std::vector<uint64_t>(4), 11).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(HuffmanLengths(std::vector<uint64_t>(9, 1), 3).status().code(), absl::StatusCode::kInvalidArgument);
}

// Huffman over the shifting error e, a spike s at zero on top of a uniform rest, m = 3.
// The canonical code of every symbol, most significant bit first.
std::vector<uint16_t> CanonicalCodes(const std::vector<uint8_t>& lengths) {
  std::vector<codec::EncodeEntry> entries(lengths.size());
  codec::FillEncode(lengths, entries.data());
  std::vector<uint16_t> codes;
  for (const codec::EncodeEntry& entry : entries) {
    uint16_t code = 0;
    for (int i = 0; i < entry.length; ++i) code = static_cast<uint16_t>(code << 1 | (entry.bits >> i & 1));
    codes.push_back(code);
  }
  return codes;
}

TEST(HuffmanGolden, SpikeOnUniformRest) {
  const auto entropy_and_mean = [](double spike) {
    std::vector<uint64_t> counts(8, static_cast<uint64_t>(std::llround(8e6 * (1 - spike) / 8)));
    counts[0] += static_cast<uint64_t>(std::llround(8e6 * spike));
    double entropy = 0;
    for (const uint64_t count : counts) {
      const double share = static_cast<double>(count) / 8e6;
      entropy -= share * std::log2(share);
    }
    return std::pair(entropy, static_cast<double>(TotalBits(counts, 11)) / 8e6);
  };
  const auto [entropy5, mean5] = entropy_and_mean(.5);
  EXPECT_NEAR(entropy5, 2.217, 1e-3);
  EXPECT_NEAR(mean5, 2.250, 1e-3);
  const auto [entropy8, mean8] = entropy_and_mean(.8);
  EXPECT_NEAR(entropy8, 1.160, 1e-3);
  EXPECT_NEAR(mean8, 1.500, 1e-3);
}

TEST(HuffmanGolden, OneExtraBitIsAlwaysOneBitASymbol) {
  EXPECT_EQ(TotalBits({900, 100}, 7), 1000);
  EXPECT_EQ(TotalBits({1, 1}, 7), 2);
}

TEST(HuffmanGolden, LengthLimitedTotals) {
  const json golden = json::parse(std::ifstream(BITSTAGE_SHARED_OR_SKIP("golden/quantization.json")));
  ASSERT_EQ(golden["length_limited"].size(), 12u);
  for (const json& vector : golden["length_limited"]) {
    SCOPED_TRACE(vector.dump());
    const auto counts = vector["freq"].get<std::vector<uint64_t>>();
    const int limit = vector["limit"];
    EXPECT_EQ(TotalBits(counts, limit), vector["total_bits"].get<int64_t>());
    const std::vector<uint8_t> lengths = *HuffmanLengths(counts, limit);
    for (const uint8_t length : lengths) EXPECT_LE(length, limit);
  }
}

TEST(HuffmanGolden, ShiftingErrorsOfTheTensor) {
  const json golden = json::parse(std::ifstream(BITSTAGE_SHARED_OR_SKIP("golden/quantization.json")));
  int checked = 0;
  for (const json& channel : golden["tensor"]["channels"]) {
    if (!channel.contains("hist_e")) continue;
    const auto counts = channel["hist_e"].get<std::vector<uint64_t>>();
    EXPECT_EQ(TotalBits(counts, 7), channel["bits"].get<int64_t>());
    const auto lengths = channel["one_optimal_lengths"].get<std::vector<uint8_t>>();
    const std::vector<uint16_t> codes = CanonicalCodes(lengths);
    for (const auto& [symbol, digits] : channel["canonical"].items()) {
      const auto s = static_cast<size_t>(std::stoi(symbol));
      EXPECT_EQ(CodeString(codes[s], lengths[s]), digits.get<std::string>());
    }
    ++checked;
  }
  EXPECT_EQ(checked, 2);
}

TEST(ValidateLengths, RefusesWhatIsNotACompleteCode) {
  const auto code = [](std::vector<uint8_t> lengths) { return ValidateLengths(lengths).code(); };
  EXPECT_EQ(code({1, 2, 2}), absl::StatusCode::kOk);
  EXPECT_EQ(code({0, 1, 0}), absl::StatusCode::kOk);
  EXPECT_EQ(code({1, 1, 2}), absl::StatusCode::kInvalidArgument);  // over-subscribed
  EXPECT_EQ(code({1, 2, 3}), absl::StatusCode::kInvalidArgument);  // incomplete
  EXPECT_EQ(code({0, 2}), absl::StatusCode::kInvalidArgument);     // a single symbol has length 1
  EXPECT_EQ(code({0, 0}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code({1, 12}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::vector<uint8_t>(256, 1)), absl::StatusCode::kInvalidArgument);
}

TEST(CanonicalCodes, ArePrefixFreeAndOrdered) {
  const std::vector<uint8_t> lengths = {2, 3, 3, 2, 2};
  EXPECT_THAT(CanonicalCodes(lengths), ElementsAre(0b00, 0b110, 0b111, 0b01, 0b10));
}

TEST(FillDecode, FindsEveryCellBehindItsOwnCodeWhateverFollows) {
  std::vector<uint64_t> counts(64);
  for (size_t s = 0; s < counts.size(); ++s) counts[s] = s * s * s;
  const std::vector<uint8_t> lengths = *HuffmanLengths(counts, kMaxCodeLength);
  std::vector<codec::EncodeEntry> encode(64);
  codec::FillEncode(lengths, encode.data());
  std::vector<codec::DecodeEntry> decode(1 << kMaxCodeLength);
  codec::FillDecode(lengths, 3, 2, /*pairs=*/true, kMaxCodeLength, decode.data());
  for (size_t s = 1; s < counts.size(); ++s) {
    for (const uint32_t following : {0u, ~0u, 0x5a5a5a5au}) {
      const size_t index = (encode[s].bits | following << encode[s].length) & ((1u << kMaxCodeLength) - 1);
      EXPECT_EQ(decode[index].cell, s);
      EXPECT_EQ(decode[index].first, s % 8 << 2);
      EXPECT_EQ(decode[index].second, s / 8 << 2);
      EXPECT_EQ(decode[index].length, lengths[s]);
    }
  }
}

TEST(FillDecode, AnOnlyCellTakesNoBits) {
  const std::vector<uint8_t> lengths = {0, 0, 1, 0};
  codec::EncodeEntry encode[4];
  codec::FillEncode(lengths, encode);
  EXPECT_EQ(encode[2].length, 0);
  codec::DecodeEntry decode[256];
  codec::FillDecode(lengths, 2, 0, /*pairs=*/false, 8, decode);
  for (const codec::DecodeEntry& entry : decode) {
    EXPECT_EQ(entry.first, 2);
    EXPECT_EQ(entry.length, 0);
  }
}

}  // namespace
}  // namespace bitstage
