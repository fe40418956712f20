// Which context a cell is coded in: docs/frame-format.md, "Which table a cell uses".
#pragma once

#include <algorithm>

namespace bitstage::codec {

// How many values of l + u₀ count as one where cells are single symbols: keeps a map of contexts below 64 entries.
inline int SingleContextShift(int bits) { return std::max(0, bits - 5); }

// l, u0, u1: symbols of `bits` bits to the left, above and above to the right.
inline int PairContext(int l, int u0, int u1, int bits) {
  const int step = std::max(1, (1 << bits) / 4);
  return 4 * (l + u0) + std::min(3, (u1 + step - 1) / step);
}
inline int SingleContext(int l, int u0, int bits) { return (l + u0) >> SingleContextShift(bits); }

// Contexts are below this.
inline int ContextCount(int bits, bool pairs) {
  const int largest_sum = 2 * ((1 << bits) - 1);
  return pairs ? 4 * (largest_sum + 1) : (largest_sum >> SingleContextShift(bits)) + 1;
}

}  // namespace bitstage::codec
