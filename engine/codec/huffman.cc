#include "engine/codec/huffman.h"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

struct Leaf {
  uint64_t weight;
  uint32_t symbol;
};
constexpr size_t kUsual = 256;  // symbols that need no memory but the stack's

// Lengths of the best code of any length, two queues: leaves (rising in weight)
// and the trees made of them. The longest.
int UnlimitedLengths(std::span<const Leaf> leaves, std::span<uint8_t> lengths) {
  struct Tree {
    uint64_t weight;
    size_t parent;
  };
  const size_t n = leaves.size();
  absl::InlinedVector<Tree, 2 * kUsual> trees(2 * n - 1);
  for (size_t i = 0; i < n; ++i) trees[i].weight = leaves[i].weight;
  size_t leaf = 0;
  size_t made = n;
  for (size_t next = n; next < trees.size(); ++next) {
    const auto lightest = [&] {
      return leaf < n && (made == next || trees[leaf].weight <= trees[made].weight) ? leaf++ : made++;
    };
    const size_t first = lightest();
    const size_t second = lightest();
    trees[next].weight = trees[first].weight + trees[second].weight;
    trees[first].parent = trees[second].parent = next;
  }
  // From the root down; weights have served and make room for depths.
  trees.back().weight = 0;
  for (size_t i = trees.size() - 1; i-- > 0;) trees[i].weight = trees[trees[i].parent].weight + 1;
  uint64_t longest = 0;
  for (size_t i = 0; i < n; ++i) {
    longest = std::max(longest, trees[i].weight);
    lengths[leaves[i].symbol] = static_cast<uint8_t>(trees[i].weight);
  }
  return static_cast<int>(longest);
}

// The same for codes of at most `limit` bits: package-merge. A level is a list
// of coins by weight, the leaves and the packages of two neighbours of the
// level before; the 2(n − 1) lightest coins of the last level hold every leaf
// as often as its code is long. Of a level only its kinds of coins must be
// kept: those taken are always its lightest.
void LimitedLengths(std::span<const Leaf> leaves, int limit, std::span<uint8_t> lengths) {
  const size_t n = leaves.size();
  absl::InlinedVector<uint64_t, 2 * kUsual> level(2 * n);
  absl::InlinedVector<uint64_t, kUsual> packages(n);
  // leaves_before[k · 2n + i]: leaves among the first i + 1 coins of level k.
  absl::InlinedVector<uint16_t, 11 * 2 * kUsual> leaves_before(static_cast<size_t>(limit) * 2 * n);
  size_t coins = 0;
  for (int k = 0; k < limit; ++k) {
    const size_t pairs = coins / 2;
    for (size_t p = 0; p < pairs; ++p) packages[p] = level[2 * p] + level[2 * p + 1];
    uint16_t* const before = &leaves_before[static_cast<size_t>(k) * 2 * n];
    size_t leaf = 0;
    size_t package = 0;
    for (coins = 0; leaf < n || package < pairs; ++coins) {
      // Leaves in front of packages of equal weight, which keeps the longest
      // codes short.
      const bool is_leaf = package == pairs || (leaf < n && leaves[leaf].weight <= packages[package]);
      level[coins] = is_leaf ? leaves[leaf].weight : packages[package];
      leaf += is_leaf ? 1 : 0;
      package += is_leaf ? 0 : 1;
      before[coins] = static_cast<uint16_t>(leaf);
    }
  }
  size_t taken = 2 * (n - 1);
  for (int k = limit - 1; k >= 0 && taken > 0; --k) {
    const size_t of_leaves = leaves_before[static_cast<size_t>(k) * 2 * n + taken - 1];
    for (size_t i = 0; i < of_leaves; ++i) ++lengths[leaves[i].symbol];
    taken = 2 * (taken - of_leaves);
  }
}

}  // namespace

absl::Status HuffmanLengths(std::span<const uint64_t> counts, int limit, std::span<uint8_t> lengths) {
  absl::InlinedVector<Leaf, kUsual> leaves;
  for (size_t s = 0; s < counts.size(); ++s) {
    if (counts[s] != 0) leaves.push_back({counts[s], static_cast<uint32_t>(s)});
  }
  std::fill(lengths.begin(), lengths.end(), uint8_t{0});
  if (leaves.empty()) return absl::InvalidArgumentError("Huffman code: no symbol occurs");
  if (leaves.size() == 1) {
    lengths[leaves[0].symbol] = 1;
    return absl::OkStatus();
  }
  if (limit < 32 && leaves.size() > (size_t{1} << limit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("Huffman code: ", leaves.size(), " symbols do not fit in ", limit, " bits"));
  }
  std::sort(leaves.begin(), leaves.end(), [](const Leaf& a, const Leaf& b) {
    return a.weight != b.weight ? a.weight < b.weight : a.symbol < b.symbol;
  });
  if (UnlimitedLengths(leaves, lengths) > limit) {
    std::fill(lengths.begin(), lengths.end(), uint8_t{0});
    LimitedLengths(leaves, limit, lengths);
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
