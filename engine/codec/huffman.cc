#include "engine/codec/huffman.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace bitstage {
namespace {

// A coin of the package-merge algorithm: a leaf, or a package of two coins of the level below.
struct Coin {
  uint64_t weight;
  int32_t symbol;         // -1: a package
  int32_t first, second;  // indices of coins
};

// Leaves in front of packages of equal weight, which keeps the longest codes short.
std::vector<int32_t> MergeByWeight(const std::vector<Coin>& coins, const std::vector<int32_t>& leaves,
                                   const std::vector<int32_t>& packages) {
  std::vector<int32_t> merged(leaves.size() + packages.size());
  std::merge(leaves.begin(), leaves.end(), packages.begin(), packages.end(), merged.begin(), [&](int32_t a, int32_t b) {
    return coins[static_cast<size_t>(a)].weight < coins[static_cast<size_t>(b)].weight;
  });
  return merged;
}

}  // namespace

absl::StatusOr<std::vector<uint8_t>> HuffmanLengths(std::span<const uint64_t> counts, int limit) {
  std::vector<Coin> coins;
  for (size_t s = 0; s < counts.size(); ++s) {
    if (counts[s] != 0) coins.push_back({counts[s], static_cast<int32_t>(s), -1, -1});
  }
  std::vector<uint8_t> lengths(counts.size());
  if (coins.empty()) return absl::InvalidArgumentError("Huffman code: no symbol occurs");
  if (coins.size() == 1) {
    lengths[static_cast<size_t>(coins[0].symbol)] = 1;
    return lengths;
  }
  if (limit < 32 && coins.size() > (size_t{1} << limit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("Huffman code: ", coins.size(), " symbols do not fit in ", limit, " bits"));
  }
  std::stable_sort(coins.begin(), coins.end(), [](const Coin& a, const Coin& b) { return a.weight < b.weight; });
  std::vector<int32_t> leaves(coins.size());
  for (size_t i = 0; i < leaves.size(); ++i) leaves[i] = static_cast<int32_t>(i);

  // Level by level from the longest codes up: pair the coins, add the leaves again. The 2(n − 1) lightest coins of the
  // last level then hold every leaf as often as its code is long.
  std::vector<int32_t> level = leaves;
  for (int i = 1; i < limit; ++i) {
    std::vector<int32_t> packages;
    for (size_t p = 0; p + 1 < level.size(); p += 2) {
      const uint64_t weight =
          coins[static_cast<size_t>(level[p])].weight + coins[static_cast<size_t>(level[p + 1])].weight;
      packages.push_back(static_cast<int32_t>(coins.size()));
      coins.push_back({weight, -1, level[p], level[p + 1]});
    }
    level = MergeByWeight(coins, leaves, packages);
  }
  std::vector<int32_t> open(level.begin(), level.begin() + static_cast<std::ptrdiff_t>(2 * (leaves.size() - 1)));
  while (!open.empty()) {
    const Coin coin = coins[static_cast<size_t>(open.back())];
    open.pop_back();
    if (coin.symbol >= 0) {
      ++lengths[static_cast<size_t>(coin.symbol)];
    } else {
      open.push_back(coin.first);
      open.push_back(coin.second);
    }
  }
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
