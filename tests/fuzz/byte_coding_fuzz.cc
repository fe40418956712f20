// Coded weights: bytes nobody vouches for never do more than be refused, and symbols come back as they went.
#include <algorithm>
#include <cstring>

#include "engine/codec/byte_coding.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const int width = 4 + data[0] % 5;
  const int64_t count = 1 + (data[1] | data[2] << 8) % 600;
  const int flags = data[3];
  data += 4;
  size -= 4;
  if (flags % 2 == 0) {
    const std::vector<uint8_t> exact(data, data + size);
    const auto read = bitstage::DecodeBytes(std::as_bytes(std::span(exact)), width, count);
    if (!read.ok()) {
      FUZZ_CHECK(!read.status().message().empty());
      return 0;
    }
    FUZZ_CHECK(read->size() == static_cast<size_t>(count));
    for (const uint8_t symbol : *read) FUZZ_CHECK(symbol < 1 << width);
    return 0;
  }
  std::vector<uint8_t> symbols(data, data + size);
  for (uint8_t& symbol : symbols) symbol = static_cast<uint8_t>(symbol & ((1 << width) - 1));
  std::string coded = bitstage::EncodeBytes(symbols, width, size_t{1} << 40);
  if (coded.empty()) return 0;
  const auto read = bitstage::DecodeBytes(std::as_bytes(std::span(coded)), width, static_cast<int64_t>(symbols.size()));
  FUZZ_CHECK(read.ok() && *read == symbols);
  // A bit changed behind the table: refused, or other symbols of the same number.
  coded[static_cast<size_t>(count) * 7 % coded.size()] ^= static_cast<char>(1 << flags / 2 % 8);
  const auto damaged =
      bitstage::DecodeBytes(std::as_bytes(std::span(coded)), width, static_cast<int64_t>(symbols.size()));
  FUZZ_CHECK(!damaged.ok() || damaged->size() == symbols.size());
  return 0;
}
