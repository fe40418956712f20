#include "engine/codec/byte_coding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace bitstage {
namespace {

using ::testing::HasSubstr;

constexpr size_t kAnySize = size_t{1} << 40;

std::span<const std::byte> BytesOf(const std::string& text) { return std::as_bytes(std::span(text)); }

// Most are small.
std::vector<uint8_t> SkewedSymbols(size_t count, int width, uint32_t seed) {
  std::minstd_rand random(seed);
  std::geometric_distribution<int> symbol(0.3);
  std::vector<uint8_t> symbols(count);
  for (uint8_t& s : symbols) s = static_cast<uint8_t>(std::min(symbol(random), (1 << width) - 1));
  return symbols;
}

TEST(ByteCodingTest, KeepsSymbolsOfEveryWidthAndCount) {
  for (int width = 4; width <= 8; ++width) {
    for (const size_t count : {2, 3, 63, 64, 65, 127, 128, 129, 1000, 8191, 8192, 8193, 100000}) {
      std::vector<uint8_t> symbols = SkewedSymbols(count, width, static_cast<uint32_t>(count));
      symbols[count / 2] = static_cast<uint8_t>((1 << width) - 1);
      const std::string coded = EncodeBytes(symbols, width, kAnySize);
      ASSERT_FALSE(coded.empty());
      const auto read = DecodeBytes(BytesOf(coded), width, static_cast<int64_t>(count));
      ASSERT_TRUE(read.ok()) << read.status();
      ASSERT_EQ(*read, symbols) << width << " " << count;
    }
  }
}

TEST(ByteCodingTest, IsNotUsedWhereItDoesNotPay) {
  const std::vector<uint8_t> symbols = SkewedSymbols(5000, 8, 1);
  const std::string coded = EncodeBytes(symbols, 8, kAnySize);
  EXPECT_TRUE(EncodeBytes(symbols, 8, coded.size()).empty());
  EXPECT_FALSE(EncodeBytes(symbols, 8, coded.size() + 1).empty());
  EXPECT_TRUE(EncodeBytes({}, 8, kAnySize).empty());
  EXPECT_TRUE(EncodeBytes(std::vector<uint8_t>(5000, 7), 8, 1).empty());
  EXPECT_TRUE(EncodeBytes(std::vector<uint8_t>(4096, 0), 8, kAnySize).empty()) << "one symbol alone needs no code";
}

void ExpectRefused(const std::string& coded, int64_t count, const std::string& words) {
  const absl::Status status = DecodeBytes(BytesOf(coded), 8, count).status();
  EXPECT_FALSE(status.ok()) << words;
  EXPECT_THAT(std::string(status.message()), HasSubstr(words));
}

TEST(ByteCodingTest, RefusesDamageByName) {
  constexpr int64_t kCount = 5000;
  const std::string good = EncodeBytes(SkewedSymbols(kCount, 8, 2), 8, kAnySize);
  constexpr size_t kLanesAt = 128;
  std::string bad = good;
  ExpectRefused(good.substr(0, 100), kCount, "end within the table");
  ExpectRefused(good.substr(0, good.size() - 5) + std::string(4, '\0'), kCount, "bytes of codes");
  ExpectRefused(good + std::string(1, '\0'), kCount, "bytes of codes");
  ExpectRefused(good, 0, "0 symbols");
  ExpectRefused(good, int64_t{1} << 40, "symbols, expected 1 to");
  ExpectRefused(good, int64_t{1} << 30, "bytes for 1073741824 symbols");
  bad.back() = 1;
  ExpectRefused(bad, kCount, "behind the codes are not 0");
  bad = good;
  bad[0] = 0x11;
  ExpectRefused(bad, kCount, "over-subscribed");
  bad[0] = static_cast<char>(0xbb);
  ExpectRefused(bad, kCount, "incomplete");
  bad = good;
  std::fill_n(bad.begin(), kLanesAt, '\0');
  bad[3] = 1;
  ExpectRefused(bad, kCount, "a single symbol");
  bad = good;
  ++bad[kLanesAt];
  --bad[kLanesAt + 4];
  ExpectRefused(bad, kCount, "a lane does not end");
}

TEST(ByteCodingTest, NeverReadsPastWhatItIsGiven) {
  constexpr int64_t kCount = 700;
  const std::string good = EncodeBytes(SkewedSymbols(kCount, 8, 3), 8, kAnySize);
  for (size_t size = 0; size < good.size(); ++size) {
    const std::vector<char> cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(DecodeBytes(std::as_bytes(std::span(cut)), 8, kCount).ok()) << size;
  }
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << (bit % 8));
    const auto read = DecodeBytes(BytesOf(bad), 8, kCount);
    if (read.ok()) {
      EXPECT_EQ(read->size(), size_t{kCount});
    }
  }
}

}  // namespace
}  // namespace bitstage
