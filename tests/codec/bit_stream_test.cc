#include "engine/codec/bit_stream.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace bitstage {
namespace {

TEST(BitStream, ReadsBackWhatWasWrittenAtEveryWidthAndLength) {
  std::mt19937 random(1);
  for (size_t count = 0; count < 60; ++count) {
    std::vector<std::pair<uint32_t, int>> values;
    for (size_t i = 0; i < count; ++i) {
      const int width = 1 + static_cast<int>(random() % 11);
      values.emplace_back(random() & ((1u << width) - 1), width);
    }
    std::vector<std::byte> bytes(count * 2 + 8);
    BitWriter writer(bytes);
    for (const auto& [value, width] : values) writer.Write(value, width);
    const size_t written = writer.Finish();
    // An exact copy on the heap: a read past it is one that the address sanitizer sees.
    const std::vector<std::byte> exact(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(written));
    BitReader reader(exact);
    for (const auto& [value, width] : values) {
      reader.Refill();
      EXPECT_EQ(reader.Peek() & ((1u << width) - 1), value);
      reader.Consume(width);
    }
    EXPECT_TRUE(reader.Ended());
    EXPECT_FALSE(reader.Overrun());
  }
}

TEST(BitStream, ReaderGivesZerosPastTheEndAndRemembersIt) {
  const std::vector<std::byte> bytes = {std::byte{0xff}};
  BitReader reader(bytes);
  for (int i = 0; i < 1000; ++i) {
    reader.Refill();
    EXPECT_EQ(reader.Peek() & 7, i < 2 ? 7u : i == 2 ? 3u : 0u);
    reader.Consume(3);
  }
  EXPECT_TRUE(reader.Overrun());
  EXPECT_FALSE(reader.Ended());
}

TEST(BitStream, LeftoverBytesAndLeftoverOnesAreNotAnEnd) {
  const std::vector<std::byte> bytes = {std::byte{0x01}, std::byte{0x00}};
  BitReader whole_byte_left(bytes);
  whole_byte_left.Refill();
  whole_byte_left.Consume(8);
  EXPECT_FALSE(whole_byte_left.Ended());
  BitReader one_left{std::span(bytes).first(1)};
  one_left.Refill();
  EXPECT_FALSE(one_left.Ended());
  one_left.Consume(1);
  EXPECT_TRUE(one_left.Ended());
}

TEST(BitStream, WriterStopsAtTheEndOfItsSpan) {
  std::vector<std::byte> bytes(3, std::byte{0});
  BitWriter writer{std::span(bytes).first(2)};
  for (int i = 0; i < 40; ++i) writer.Write(0xff, 8);
  EXPECT_EQ(writer.Finish(), 2u);
  EXPECT_EQ(bytes[1], std::byte{0xff});
  EXPECT_EQ(bytes[2], std::byte{0});
}

}  // namespace
}  // namespace bitstage
