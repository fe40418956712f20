// Patches: the input vectors that a weighted layer multiplies its weights with, gathered from calibration activations.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/graph/graph.h"
#include "engine/quant/hessian.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// The geometry of one weighted layer as a matrix product: outputs/groups rows of K = I/groups · KH · KW weights.
struct LayerGeometry {
  int64_t outputs = 0;
  int64_t inputs = 0;  // channels of the input
  int64_t groups = 1;
  Window window;
  bool transposed = false;

  [[nodiscard]] int64_t group_inputs() const { return inputs / groups; }
  [[nodiscard]] int64_t group_outputs() const { return outputs / groups; }
  [[nodiscard]] int64_t positions() const { return window.kernel[0] * window.kernel[1]; }
  [[nodiscard]] int64_t K() const { return group_inputs() * positions(); }
};

// Requires a node with weights.
LayerGeometry GeometryOf(const Graph& graph, const Node& node);

// Of the patches those of one of several parts of the images, in order.
struct PatchShare {
  int64_t part = 0;
  int64_t parts = 1;
};

// One Hessian a group over at most `max_patches` evenly spaced patches of `input` ([images] + per-image shape, real
// numbers; padding counts as 0), in units of the grid's steps where those differ by channel (grid.h). centre: as
// PatchMeans gives it, subtracted from every patch (a bias takes the means up); or empty. For convolutions, and for
// fully connected layers on vectors.
std::vector<Hessian> LayerHessians(const LayerGeometry& layer, const Grid& grid, const Tensor& input,
                                   std::span<const double> centre, int64_t max_patches, PatchShare share = {});

// G of engine/quant/refit.h over the same patches: Σ (W (x − x̂) + residual gap) x̂ᵀ, outputs x K, where x̂ is centred and
// in units of steps as for LayerHessians and `weights` are real numbers. residual_gap: what the layer's residual lacks,
// float − quantized, of the output's shape; or null.
std::vector<float> ErrorCorrelations(const LayerGeometry& layer, const Grid& grid, std::span<const float> weights,
                                     const Tensor& x, const Tensor& x_hat, const Tensor* residual_gap,
                                     std::span<const double> centre, int64_t max_patches, PatchShare share = {});

// The mean of every element of the patches of every group, groups · K of them, over the patches that LayerHessians
// would take. Padding counts as 0, so that W · mean is the layer's mean output, borders included.
std::vector<double> PatchMeans(const LayerGeometry& layer, const Tensor& input, int64_t max_patches);

// Whether a node's patches can be gathered: a convolution, or a fully connected layer on vectors. (On higher ranks that
// has its channels last; a transposed convolution's patches would be of its output.)
bool HasPatches(const Node& node, const Tensor& input);

// Patches that second moments and means are taken over: more change no rounding that is measurable.
inline int64_t MaxPatches(const LayerGeometry& layer) { return layer.groups > 1 ? 2048 : 8192; }

}  // namespace bitstage
