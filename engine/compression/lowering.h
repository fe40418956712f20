// Lowering: from an optimized float graph with grids to the low-bit graph, layer by layer in execution order.
//
// Each layer is quantized against the inputs that the layers before it, already quantized, really produce: the second
// moments for GPTQ are those of the served activations, and the bias correction closes the gap between the float
// layer's mean output and the quantized one's, over patches so that padding counts:
//     b[o] += Σ W[o,j]·E[x_j] − Σ Ŵ[o,j]·E[x̂_j]        j over the elements of a patch
#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/calibration.h"
#include "engine/compression/patches.h"
#include "engine/graph/graph.h"
#include "engine/tensor/weight_codes.h"

namespace bitstage {

// How one weighted layer is coded.
struct LayerPrecision {
  Codebook codebook = Codebook::kUniform;
  int bits = 8;
  ScaleKind scale = ScaleKind::kChannel;
  double rate = 0;      // kUniform, above 0: codes for entropy coding at about so many bits (quant/rate_rounding.h);
                        // `bits` and `scale` are then as they come
  int max_alpha = 127;  // SyqWeights

  bool operator==(const LayerPrecision&) const = default;
};

struct LoweringOptions {
  bool second_order_rounding = true;
  bool bias_correction = true;
};

// Indices into Graph::nodes of the nodes with weights, in order.
std::vector<size_t> WeightedNodes(const Graph& graph);

// `precision` has one entry a weighted node. `images`: as for Calibrate. progress(done, total) counts layers.
absl::StatusOr<Graph> Lower(const Graph& graph, const std::vector<LayerPrecision>& precision, const Tensor& images,
                            const LoweringOptions& options, ThreadPool* pool,
                            const std::function<void(int64_t, int64_t)>& progress);

// The codes of float weights `w` (O x I/groups [x KH x KW]) rounded to nearest, scales by least squared error, weighted
// by `importance` (UniformWeights; SYQ's scales follow from its codes and have none).
WeightCodes RoundWeights(const Shape& shape, std::span<const float> w, const LayerPrecision& precision,
                         std::span<const double> importance = {});

// What calibration shows of a layer, [images] + per-image shape.
struct LayerInputs {
  const Tensor* rounded;       // the input as the quantized network has it
  const Tensor* real;          // as the float network has it; or null where they are the same
  const Tensor* residual_gap;  // float − quantized of the residual; or null
};

// The same for a layer whose inputs are known: scales weighted by how much each weight moves the output, codes by
// second-order rounding of weights refitted to the rounded input (engine/quant/refit.h). `w`: real numbers. Codes are
// in units of the grid's steps where those differ by channel (grid.h). With bias correction inputs count from their
// means. Layers whose patches LayerHessians does not gather, or that have too few, are rounded to nearest.
// One result for each of `candidates`. Without second-order rounding the inputs are not looked at.
absl::StatusOr<std::vector<WeightCodes>> RoundLayer(const Graph& graph, const Node& node,
                                                    const std::optional<Grid>& grid, const LayerInputs& inputs,
                                                    const Tensor& w, std::span<const LayerPrecision> candidates,
                                                    const LoweringOptions& options);

// What such codes stand for, in real numbers.
std::vector<float> RealWeights(const WeightCodes& codes, const std::optional<Grid>& grid, const LayerGeometry& layer);

// Adds the correction above to `bias`; `w` and `w_hat` in real numbers, the means as PatchMeans gives them for the
// float network and for the one quantized so far.
void CorrectBias(const LayerGeometry& layer, std::span<const float> w, std::span<const float> w_hat,
                 std::span<const double> mean, std::span<const double> mean_hat, std::span<float> bias);

}  // namespace bitstage
