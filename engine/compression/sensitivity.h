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

// What one way to code a layer takes and does.
struct CodingEffect {
  double bits = 0;   // a weight, entropy-coded, without scales
  double noise = 0;  // mean ‖r_z‖² with that layer alone coded so and the rest in float
};

// For every weighted node and every one of `candidates`, by RoundLayer where second_order_rounding, biases corrected.
// [weighted node][candidate].
absl::StatusOr<std::vector<std::vector<CodingEffect>>> MeasureSensitivities(
    const Graph& graph, const Calibration& calibration, const Tensor& images,
    const std::vector<LayerPrecision>& candidates, bool second_order_rounding, ThreadPool* pool,
    const std::function<void(int64_t, int64_t)>& progress);

}  // namespace bitstage
