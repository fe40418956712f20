#include "clients/latencies.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace bitstage::client {

double Percentile(const std::vector<double>& sorted, double fraction) {
  const auto rank = static_cast<size_t>(std::ceil(fraction * static_cast<double>(sorted.size())));
  return sorted[std::clamp<size_t>(rank, 1, sorted.size()) - 1];
}

}  // namespace bitstage::client
