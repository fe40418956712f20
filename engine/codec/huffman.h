// Canonical, length-limited Huffman codes. A code is its lengths, one a symbol, 0 for symbols that do not occur.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bitstage {

// The limit of frames: a decoding table of 2^11 entries stays in the first-level cache.
inline constexpr int kMaxCodeLength = 11;

// The lengths, at most `limit` (1…32), that minimise Σ count · length: Huffman's own where they keep to the limit, else
// package-merge (Larmore and Hirschberg 1990). A single symbol has length 1. INVALID_ARGUMENT where no count is
// positive or 2^limit symbols are not enough. The first writes one a count to `lengths`, and allocates nothing for up
// to 256 symbols in 11 bits.
absl::Status HuffmanLengths(std::span<const uint64_t> counts, int limit, std::span<uint8_t> lengths);
absl::StatusOr<std::vector<uint8_t>> HuffmanLengths(std::span<const uint64_t> counts, int limit);

// Lengths for a table calibrated once: every count is raised by one, so that every symbol has a code.
// Requires 1 to 2^limit counts.
std::vector<uint8_t> TablesFromHistogram(std::span<const uint64_t> counts, int limit = kMaxCodeLength);

// Refuses lengths over kMaxCodeLength, no symbol at all, over-subscribed and incomplete codes (a single symbol of
// length 1 is complete). INVALID_ARGUMENT.
absl::Status ValidateLengths(std::span<const uint8_t> lengths);

// Σ count · length, or -1 where a symbol that occurs has no code.
int64_t CodedBits(std::span<const uint64_t> counts, std::span<const uint8_t> lengths);

}  // namespace bitstage
