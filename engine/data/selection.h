// Which images of a data set: ranges and repeatable random subsets.
#pragma once

#include <cstdint>
#include <vector>

namespace bitstage {

// begin, begin + 1, …: `count` of them, cut at `size`.
std::vector<int64_t> Range(int64_t size, int64_t begin, int64_t count);

// min(count, size) different indices below `size`, ascending; the same for the same arguments, on every machine.
std::vector<int64_t> RandomSubset(int64_t size, int64_t count, uint64_t seed);

}  // namespace bitstage
