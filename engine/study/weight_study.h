// WeightStudy: the experiment of the adaptive-precision paper (Zhou, Moosavi-Dezfooli, Cheung, Frossard, AAAI 2018,
// arXiv 1712.01048) as published: weights alone are rounded, a width a layer, everything else stays float.
//
//   BITSTAGE_ASSIGN_OR_RETURN(WeightStudy study, WeightStudy::Create(graph, images, labels, &pool));
//   BITSTAGE_ASSIGN_OR_RETURN(const std::vector<LayerNoise> layers, study.MeasureLayers(0.1, 1, progress));
//   for (const LayerWidths& widths : CandidateWidths(WidthMethod::kAdaptive, layers)) {
//     BITSTAGE_RETURN_IF_ERROR(study.Round(widths));
//     BITSTAGE_ASSIGN_OR_RETURN(const Tensor z, study.Run(test_images));
//   }
//
// A layer's quantizer is the paper's: 2^b levels, evenly spaced from its least to its largest weight. What is served is
// chosen otherwise (engine/compression/precision.h). One thread at a time; the pool must outlive the study.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/graph.h"
#include "engine/quant/adaptive.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

using LayerWidths = std::vector<int>;  // bits of every weighted layer, in order

enum class WidthMethod : uint8_t { kEqual, kSqnr, kAdaptive };

// Rounds to the nearest of 2^bits levels from the least of `weights` to the largest. 1 … 16 bits.
void RoundMinMax(std::span<float> weights, int bits);

// The whole-number widths (2 … 10) to compare, rising in size. kEqual: one a width. Else the fractional widths for
// noise budgets that equal widths of 2 … 10 bits in steps of 1/8 would meet, rounded in every variant
// (RoundingVariants); of those the ones that no smaller one beats in predicted noise, about a tenth of a bit apart.
std::vector<LayerWidths> CandidateWidths(WidthMethod method, std::span<const LayerNoise> layers);

// A point of the curve of noise against size.
struct SizePoint {
  double bits = 0;  // mean bits a weight
  double noise = 0;
};
// How much smaller `point` is than the equal width with the same noise, interpolated in log noise between whole widths:
// 1 − bits / equal bits. None outside the curve `equal` (rising in bits).
std::optional<double> SavingAtEqualNoise(const SizePoint& point, std::span<const SizePoint> equal);

class WeightStudy {
 public:
  // graph: optimized, float, every weighted node with constants of its own (PreparedGraph). images: [n] + the input's
  // shape; labels: their classes as output indices. INVALID_ARGUMENT where their numbers differ.
  static absl::StatusOr<WeightStudy> Create(Graph graph, Tensor images, std::vector<int> labels, ThreadPool* pool);

  // p_i measured at 8 bits; t_i by bisection in 9 steps: even noise on layer i's weights that costs `accuracy` (a
  // share) on the images; s_i the weights. FAILED_PRECONDITION where a layer's noise cannot cost so much.
  absl::StatusOr<std::vector<LayerNoise>> MeasureLayers(double accuracy, uint64_t seed,
                                                        const std::function<void(int64_t, int64_t)>& progress);

  // From here on layers have these widths; empty: float.
  absl::Status Round(const LayerWidths& widths);
  // The feature vectors of a batch.
  [[nodiscard]] absl::StatusOr<Tensor> Run(const Tensor& images) const;
  // mean ‖r_z‖² over the margin, on the study's images, with the widths of now.
  [[nodiscard]] absl::StatusOr<double> NoiseOverMargin() const;

  [[nodiscard]] double margin() const { return margin_; }

 private:
  WeightStudy(Graph graph, Tensor images, std::vector<int> labels, ThreadPool* pool)
      : graph_(std::move(graph)), images_(std::move(images)), labels_(std::move(labels)), pool_(pool) {}

  [[nodiscard]] std::span<float> WeightsOfLayer(size_t layer);
  [[nodiscard]] double Accuracy(const Tensor& z) const;

  Graph graph_;
  Tensor images_;
  std::vector<int> labels_;
  ThreadPool* pool_;
  std::vector<size_t> nodes_;
  std::vector<std::vector<float>> float_weights_;  // a layer
  Tensor features_;                                // of images_, in float
  double margin_ = 0;
};

}  // namespace bitstage
