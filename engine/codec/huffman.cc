#include "engine/codec/huffman.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

// No step below branches on weights: which of two is lighter cannot be foreseen, and a wrong guess costs more than all
// else in it.
struct Leaf {
  uint64_t weight;
  uint64_t symbol;
};
constexpr uint64_t kHeaviest = std::numeric_limits<uint64_t>::max();
constexpr size_t kUsual = 256;  // symbols that need no memory but the stack's

// Leaves by rising weight, equal ones by symbol, and two of the heaviest behind them.
class Leaves {
 public:
  explicit Leaves(std::span<const uint64_t> counts) : leaves_(std::bit_ceil(counts.size()) + kBehind) {
    Leaf* from = leaves_.data();
    for (size_t s = 0; s < counts.size(); ++s) {
      from[size_] = {counts[s], s};
      size_ += counts[s] != 0 ? 1 : 0;
    }
    const size_t whole = std::bit_ceil(size_);
    std::fill(from + size_, from + leaves_.size(), Leaf{kHeaviest, 0});
    absl::InlinedVector<Leaf, kUsual> room(whole);
    Leaf* to = room.data();
    for (size_t half = 1; half < whole; half *= 2) {
      for (size_t at = 0; at < whole; at += 2 * half) MergeHalves(from + at, half, to + at);
      std::swap(from, to);
    }
    if (from == room.data()) std::copy_n(room.data(), size_, leaves_.data());
  }

  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] const Leaf* data() const { return leaves_.data(); }

 private:
  static constexpr size_t kBehind = 2;

  // Two sorted runs from both their ends: neither can end before its half of the steps is done. Of equal leaves the
  // left run's come first.
  static void MergeHalves(const Leaf* from, size_t half, Leaf* to) {
    const Leaf* left = from;
    const Leaf* right = from + half;
    const Leaf* left_last = from + half - 1;
    const Leaf* right_last = from + 2 * half - 1;
    for (size_t i = 0; i < half; ++i) {
      const bool is_left = left->weight <= right->weight;
      to[i] = *(is_left ? left : right);
      left += is_left ? 1 : 0;
      right += is_left ? 0 : 1;
      const bool is_right = left_last->weight <= right_last->weight;
      to[2 * half - 1 - i] = *(is_right ? right_last : left_last);
      right_last -= is_right ? 1 : 0;
      left_last -= is_right ? 0 : 1;
    }
  }

  absl::InlinedVector<Leaf, kUsual + kBehind> leaves_;
  size_t size_ = 0;
};

// Lengths of the best code of any length, two queues: leaves and the trees made of them. The longest.
int UnlimitedLengths(const Leaf* leaves, size_t n, uint8_t* lengths) {
  // Each step takes the two lightest and makes a tree. What a step writes for one that it does not take, a later one
  // writes anew.
  absl::InlinedVector<uint64_t, kUsual + 1> weights_room(n + 1, kHeaviest);
  absl::InlinedVector<uint32_t, kUsual + 1> trees_room(n + 1);
  absl::InlinedVector<uint32_t, kUsual + 2> leaves_room(n + 2);
  uint64_t* const weights = weights_room.data();
  uint32_t* const parent_of_tree = trees_room.data();
  uint32_t* const parent_of_leaf = leaves_room.data();
  size_t leaf = 0;
  size_t tree = 0;
  for (size_t step = 0; step + 1 < n; ++step) {
    parent_of_leaf[leaf] = parent_of_leaf[leaf + 1] = static_cast<uint32_t>(step);
    parent_of_tree[tree] = parent_of_tree[tree + 1] = static_cast<uint32_t>(step);
    // Of equal ones the leaf, which keeps the longest codes short.
    const bool has_leaf = leaves[leaf].weight <= weights[tree + 1];
    const bool has_two = leaves[leaf + 1].weight <= weights[tree];
    weights[step] =
        (has_leaf ? leaves[leaf].weight : weights[tree + 1]) + (has_two ? leaves[leaf + 1].weight : weights[tree]);
    const size_t taken = (has_leaf ? 1 : 0) + (has_two ? 1 : 0);
    leaf += taken;
    tree += 2 - taken;
  }
  // From the root down; weights have served and make room for depths.
  weights[n - 2] = 0;
  for (size_t i = n - 2; i-- > 0;) weights[i] = weights[parent_of_tree[i]] + 1;
  for (size_t i = 0; i < n; ++i) lengths[leaves[i].symbol] = static_cast<uint8_t>(weights[parent_of_leaf[i]] + 1);
  return static_cast<int>(weights[parent_of_leaf[0]]) + 1;
}

// The same for codes of at most `limit` bits: package-merge. A level is a list of coins by weight, the leaves and the
// packages of two neighbours of the level before; the 2(n − 1) lightest coins of the last level hold every leaf as
// often as its code is long. Of a level only its kinds of coins must be kept: those taken are always its lightest.
void LimitedLengths(const Leaf* leaves, size_t n, int limit, uint8_t* lengths) {
  const size_t most = 2 * (n - 1);  // coins that a level needs
  absl::InlinedVector<uint64_t, 2 * kUsual> level_room(most + 2);
  absl::InlinedVector<uint64_t, kUsual + 1> packages_room(n + 1);
  // leaves_before[k · most + i]: leaves among the first i + 1 coins of level k.
  absl::InlinedVector<uint16_t, 11 * 2 * kUsual> before_room(static_cast<size_t>(limit) * most);
  uint64_t* const level = level_room.data();
  uint64_t* const packages = packages_room.data();
  uint16_t* const leaves_before = before_room.data();
  size_t coins = 0;
  for (int k = 0; k < limit; ++k) {
    const size_t pairs = coins / 2;
    for (size_t p = 0; p < pairs; ++p) packages[p] = level[2 * p] + level[2 * p + 1];
    packages[pairs] = kHeaviest;
    coins = std::min(n + pairs, most);
    uint16_t* const before = &leaves_before[static_cast<size_t>(k) * most];
    size_t leaf = 0;
    for (size_t coin = 0; coin < coins; ++coin) {
      // Leaves in front of packages of equal weight, which keeps the longest codes short.
      const uint64_t of_leaf = leaves[leaf].weight;
      const uint64_t of_package = packages[coin - leaf];
      level[coin] = std::min(of_leaf, of_package);
      leaf += of_leaf <= of_package ? 1 : 0;
      before[coin] = static_cast<uint16_t>(leaf);
    }
  }
  // The more a level holds, the lighter its packages: none takes more leaves than the next.
  size_t taken = most;
  size_t of_later = n;
  for (int k = limit - 1; k >= 0; --k) {
    const size_t of_this = taken > 0 ? leaves_before[static_cast<size_t>(k) * most + taken - 1] : 0;
    for (size_t i = of_this; i < of_later; ++i) lengths[leaves[i].symbol] = static_cast<uint8_t>(limit - 1 - k);
    of_later = of_this;
    taken = 2 * (taken - of_this);
  }
  for (size_t i = 0; i < of_later; ++i) lengths[leaves[i].symbol] = static_cast<uint8_t>(limit);
}

}  // namespace

absl::Status HuffmanLengths(std::span<const uint64_t> counts, int limit, std::span<uint8_t> lengths) {
  const Leaves leaves(counts);
  std::fill(lengths.begin(), lengths.end(), uint8_t{0});
  if (leaves.size() == 0) return absl::InvalidArgumentError("Huffman code: no symbol occurs");
  if (leaves.size() == 1) {
    lengths[leaves.data()->symbol] = 1;
    return absl::OkStatus();
  }
  if (limit < 32 && leaves.size() > (size_t{1} << limit)) {
    return absl::InvalidArgumentError(
        absl::StrCat("Huffman code: ", leaves.size(), " symbols do not fit in ", limit, " bits"));
  }
  if (UnlimitedLengths(leaves.data(), leaves.size(), lengths.data()) > limit) {
    LimitedLengths(leaves.data(), leaves.size(), limit, lengths.data());
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
