// Sensitivity: what the noise of one layer's weights does to the decision (arXiv 1712.01048).
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/calibration.h"
#include "engine/compression/grid_assignment.h"
#include "engine/compression/lowering.h"
#include "engine/graph/graph.h"

namespace bitstage {

// The first `count` of [images] + a shape, or all where there are not so many.
Tensor FirstImages(const Tensor& images, int64_t count);

// The feature vectors of `images` (shapes as Calibration::features). snap: values rounded to their grids.
absl::StatusOr<Tensor> RunFeatures(const Graph& graph, const Tensor& images, bool snap, ThreadPool* pool);

// Mean ‖z − ẑ‖² over feature vectors: images, and the pixels of a map. Shapes as Calibration::features.
double MeanSquaredDistance(const Tensor& z, const Tensor& z_hat);

// Mean margin (z₍₁₎ − z₍₂₎)² / 2 over the feature vectors.
double MeanMargin(const Tensor& z);

// What the rounding of activations does to the feature vectors of some images. `pool` must outlive it.
class ActivationNoise {
 public:
  // `graph`: float.
  static absl::StatusOr<ActivationNoise> Create(const Graph& graph, Tensor images, ThreadPool* pool);

  // Mean ‖r_z‖² where of the grids of `with_grids` (AssignGrids's of that graph) those of one group's values alone are
  // kept.
  [[nodiscard]] absl::StatusOr<double> OfGroup(const Graph& with_grids, int group) const;

  [[nodiscard]] const GridGroups& groups() const { return groups_; }

 private:
  ActivationNoise(GridGroups groups, Tensor images, Tensor reference, ThreadPool* pool)
      : groups_(std::move(groups)), images_(std::move(images)), reference_(std::move(reference)), pool_(pool) {}

  GridGroups groups_;
  Tensor images_;
  Tensor reference_;  // of the float network
  ThreadPool* pool_;
};

// What one way to code a layer takes and does.
struct CodingEffect {
  double bits = 0;           // a weight, entropy-coded, without scales
  int64_t stored_bytes = 0;  // of the layer at rest, coded where that is shorter, tables and scales included
  double noise = 0;          // mean ‖r_z‖² with that layer alone coded so and the rest in float
};

// For every weighted node and every one of `candidates`, by RoundLayer where second_order_rounding, biases corrected.
// `graph`: float; of the grids that it may have the steps alone count, where they differ by channel: codes are in units
// of them. [weighted node][candidate].
absl::StatusOr<std::vector<std::vector<CodingEffect>>> MeasureSensitivities(
    const Graph& graph, const Calibration& calibration, const Tensor& images,
    const std::vector<LayerPrecision>& candidates, bool second_order_rounding, ThreadPool* pool,
    const std::function<void(int64_t, int64_t)>& progress);

}  // namespace bitstage
