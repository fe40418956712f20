#include "engine/codec/huffman.h"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

constexpr size_t kCommonSymbols = 256;

// Weights of leaves, or of the coins (leaves and packages) of one level of the package-merge algorithm, lightest first.
// Behind leaves stands one that no package outweighs.
using Weights = absl::InlinedVector<uint64_t, 2 * kCommonSymbols + 2>;
constexpr uint64_t kHeaviest = uint64_t{1} << 63;

// The level above one of `coins` coins: its coins by twos, and the leaves again, in front of packages of equal weight,
// which keeps the longest codes short. is_leaf: of each coin of the result. Their number.
size_t Merge(const uint64_t* leaves, size_t size, const uint64_t* level, size_t coins, uint64_t* merged,
             uint8_t* is_leaf) {
  const size_t count = size + coins / 2;
  size_t package = 0;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t leaf = leaves[i - package];
    const uint64_t together = package < coins / 2 ? level[2 * package] + level[2 * package + 1] : kHeaviest;
    const bool takes_package = together < leaf;
    merged[i] = std::min(leaf, together);
    is_leaf[i] = static_cast<uint8_t>(!takes_package);
    package += takes_package ? 1 : 0;
  }
  return count;
}

}  // namespace

absl::Status HuffmanLengths(std::span<const uint64_t> counts, int limit, std::span<uint8_t> lengths) {
  absl::InlinedVector<std::pair<uint64_t, size_t>, kCommonSymbols> symbols;
  for (size_t s = 0; s < counts.size(); ++s) {
    if (counts[s] != 0) symbols.emplace_back(counts[s], s);
  }
  std::fill(lengths.begin(), lengths.end(), uint8_t{0});
  if (symbols.empty()) return absl::InvalidArgumentError("Huffman code: no symbol occurs");
  const size_t size = symbols.size();
  if (size == 1) {
    lengths[symbols[0].second] = 1;
    return absl::OkStatus();
  }
  if (limit < 32 && size > (size_t{1} << limit)) {
    return absl::InvalidArgumentError(absl::StrCat("Huffman code: ", size, " symbols do not fit in ", limit, " bits"));
  }
  std::sort(symbols.begin(), symbols.end());
  Weights leaves(size + 1, kHeaviest);
  for (size_t i = 0; i < size; ++i) leaves[i] = symbols[i].first;

  // Level by level from the longest codes up: pair the coins, add the leaves again.
  Weights rooms[2] = {leaves, Weights(2 * size)};
  rooms[0].resize(2 * size);
  const uint64_t* level = rooms[0].data();
  uint64_t* merged = rooms[1].data();
  uint64_t* other = rooms[0].data();
  absl::InlinedVector<uint8_t, 2 * kCommonSymbols * kMaxCodeLength> is_leaf(2 * size * static_cast<size_t>(limit), 1);
  size_t coins = size;
  for (int i = 1; i < limit; ++i) {
    coins = Merge(leaves.data(), size, level, coins, merged, is_leaf.data() + 2 * size * static_cast<size_t>(i));
    level = merged;
    std::swap(merged, other);
  }
  // The 2(n − 1) lightest coins of the last level hold every leaf as often as its code is long: those of a level are
  // its lightest leaves and, below, twice as many coins as there are packages among them.
  size_t taken = 2 * (size - 1);
  for (int i = limit - 1; i >= 0 && taken > 0; --i) {
    const uint8_t* const of_level = is_leaf.data() + 2 * size * static_cast<size_t>(i);
    const auto light = static_cast<size_t>(std::count(of_level, of_level + taken, 1));
    for (size_t leaf = 0; leaf < light; ++leaf) ++lengths[symbols[leaf].second];
    taken = 2 * (taken - light);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint8_t>> HuffmanLengths(std::span<const uint64_t> counts, int limit) {
  std::vector<uint8_t> lengths(counts.size());
  BITSTAGE_RETURN_IF_ERROR(HuffmanLengths(counts, limit, lengths));
  return lengths;
}

std::vector<uint8_t> TablesFromHistogram(std::span<const uint64_t> counts, int limit) {
  std::vector<uint64_t> smoothed(counts.begin(), counts.end());
  for (uint64_t& count : smoothed) ++count;
  return *HuffmanLengths(smoothed, limit);
}

absl::Status ValidateLengths(std::span<const uint8_t> lengths) {
  uint32_t used = 0;  // of 2^kMaxCodeLength
  int symbols = 0;
  for (size_t s = 0; s < lengths.size(); ++s) {
    if (lengths[s] == 0) continue;
    if (lengths[s] > kMaxCodeLength) {
      return absl::InvalidArgumentError(absl::StrCat("Huffman table: symbol ", s, " has a code of ", lengths[s],
                                                     " bits, expected at most ", kMaxCodeLength));
    }
    ++symbols;
    used += 1u << (kMaxCodeLength - lengths[s]);
  }
  constexpr uint32_t kAll = 1u << kMaxCodeLength;
  if (symbols == 0) return absl::InvalidArgumentError("Huffman table: no symbol has a code");
  if (used > kAll) return absl::InvalidArgumentError("Huffman table: over-subscribed, the code lengths are too short");
  if (used < kAll && !(symbols == 1 && used == kAll / 2)) {
    return absl::InvalidArgumentError("Huffman table: incomplete, the code lengths are too long");
  }
  return absl::OkStatus();
}

int64_t CodedBits(std::span<const uint64_t> counts, std::span<const uint8_t> lengths) {
  int64_t bits = 0;
  for (size_t s = 0; s < counts.size(); ++s) {
    if (counts[s] == 0) continue;
    if (s >= lengths.size() || lengths[s] == 0) return -1;
    bits += static_cast<int64_t>(counts[s]) * lengths[s];
  }
  return bits;
}

}  // namespace bitstage
