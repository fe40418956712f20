// The page's drawings. Each comes in two widths, of which the style shows one: on a phone letters stay readable.
#pragma once

#include <string>

#include "engine/report/report.h"

namespace bitstage::report {

// Top-1 against file size, a numbered dot a model, with the Pareto front. Requires an accuracy of every model.
std::string AccuracyChart(const Report& report);
// Bits, bytes and (where known) sensitivity of every layer, one above the other.
std::string LayerChart(const Report& report, const ModelReport& model);
// One activation's histogram with the levels of its grid.
std::string HistogramChart(const Activation& activation);
// Bytes of an image's codes at every possible cut.
std::string WireChart(const ModelReport& model);

}  // namespace bitstage::report
