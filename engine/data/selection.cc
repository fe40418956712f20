#include "engine/data/selection.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace bitstage {
namespace {

// SplitMix64 (Steele, Lea and Flood 2014): the standard library's distributions differ between implementations.
uint64_t NextRandom(uint64_t* state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

std::vector<int64_t> Range(int64_t size, int64_t begin, int64_t count) {
  begin = std::clamp<int64_t>(begin, 0, std::max<int64_t>(size, 0));
  std::vector<int64_t> indices(static_cast<size_t>(std::clamp<int64_t>(count, 0, std::max<int64_t>(size, 0) - begin)));
  std::iota(indices.begin(), indices.end(), begin);
  return indices;
}

std::vector<int64_t> RandomSubset(int64_t size, int64_t count, uint64_t seed) {
  std::vector<int64_t> indices = Range(size, 0, size);
  const size_t wanted = static_cast<size_t>(std::clamp<int64_t>(count, 0, static_cast<int64_t>(indices.size())));
  // The first steps of a Fisher–Yates shuffle. The remainder's bias is below size / 2^64.
  for (size_t i = 0; i < wanted; ++i) std::swap(indices[i], indices[i + NextRandom(&seed) % (indices.size() - i)]);
  indices.resize(wanted);
  std::sort(indices.begin(), indices.end());
  return indices;
}

}  // namespace bitstage
