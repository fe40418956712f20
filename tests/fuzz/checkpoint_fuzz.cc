// The reader of training checkpoints against mutated files: the body is mutated and signed again, or random bytes would
// end at the checksum.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "engine/base/crc32c.h"
#include "engine/training/checkpoint.h"
#include "tests/fuzz/fuzz_check.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  constexpr size_t kCrcBytes = 4;
  if (seed % 16 == 0 || max_size < 200) return LLVMFuzzerMutate(data, size, max_size);
  if (size <= kCrcBytes) {
    const bitstage::Checkpoint sample{
        .identity = std::string(32, 'i'), .step = 3, .options = "seed 1\n", .arrays = {{"a", {1.0f, 2.0f}}, {"b", {}}}};
    const std::string bytes = bitstage::SerializeCheckpoint(sample);
    size = std::min(bytes.size(), max_size);
    std::memcpy(data, bytes.data(), size);
    return size;
  }
  const size_t body = LLVMFuzzerMutate(data, size - kCrcBytes, max_size - kCrcBytes);
  const uint32_t crc = bitstage::Crc32c({reinterpret_cast<const std::byte*>(data), body});
  std::memcpy(data + body, &crc, kCrcBytes);
  return body + kCrcBytes;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::StatusOr<bitstage::Checkpoint> read =
      bitstage::ParseCheckpoint({reinterpret_cast<const std::byte*>(data), size});
  if (!read.ok()) {
    FUZZ_CHECK(!read.status().message().empty());
    return 0;
  }
  // What was read is written again to the same bytes.
  FUZZ_CHECK(bitstage::SerializeCheckpoint(*read) == std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
