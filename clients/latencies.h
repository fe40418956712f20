// Latencies: the percentiles that a benchmark reports.
#pragma once

#include <vector>

namespace bitstage::client {

// The value below which `fraction` of the sorted values lie (nearest rank). Requires at least one.
double Percentile(const std::vector<double>& sorted, double fraction);

}  // namespace bitstage::client
