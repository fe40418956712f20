// Sensitivity: what the noise of one layer's weights does to the decision (arXiv 1712.01048).
#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/calibration.h"
#include "engine/compression/lowering.h"
#include "engine/graph/graph.h"

namespace bitstage {

// Mean ‖z − ẑ‖² over feature vectors: images, and the pixels of a map. Shapes as Calibration::features.
double MeanSquaredDistance(const Tensor& z, const Tensor& z_hat);

// Mean margin (z₍₁₎ − z₍₂₎)² / 2 over the feature vectors.
double MeanMargin(const Tensor& z);

// For every weighted node and every width of `widths`: mean ‖r_z‖² when that layer alone is rounded to that many
// bits (per-output-channel scales, by RoundLayer where second_order_rounding, biases corrected) and the rest stays
// float. [weighted node][width].
absl::StatusOr<std::vector<std::vector<double>>> MeasureSensitivities(
    const Graph& graph, const Calibration& calibration, const Tensor& images, const std::vector<int>& widths,
    bool second_order_rounding, ThreadPool* pool, const std::function<void(int64_t, int64_t)>& progress);

}  // namespace bitstage
