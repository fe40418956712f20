#include "engine/base/crc32c.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bitstage {
namespace {

// RFC 3720 §B.4, and the check value of the polynomial.
TEST(Crc32cTest, GivesTheStandardsTestVectors) {
  const std::string digits = "123456789";
  EXPECT_EQ(Crc32c(std::as_bytes(std::span(digits))), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::vector<std::byte>(32, std::byte{0})), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::vector<std::byte>(32, std::byte{0xff})), 0x62a8ab43u);
  EXPECT_EQ(Crc32c({}), 0u);
}

TEST(Crc32cTest, TheInstructionAndTheTableAgreeAtEveryLengthAndAlignment) {
  std::vector<std::byte> bytes(7000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37 + i / 256 + 11);
  for (size_t begin = 0; begin < 9; ++begin) {
    for (size_t size = 0; size + begin <= bytes.size(); size += 1 + size / 256) {
      const auto part = std::span<const std::byte>(bytes).subspan(begin, size);
      ASSERT_EQ(Crc32c(part), Crc32cByTable(part)) << begin << " " << size;
    }
  }
}

}  // namespace
}  // namespace bitstage
