#include "engine/compression/lowering.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/compression/patches.h"
#include "engine/compression/twin_graph.h"
#include "engine/quant/rate_rounding.h"
#include "engine/quant/refit.h"
#include "engine/quant/second_order.h"
#include "engine/quant/syq.h"
#include "engine/quant/weights.h"
#include "engine/reference/float_executor.h"

namespace bitstage {
namespace {

// Weights in units of the input's codes: multiplied by the input grid's step where that differs by channel (grid.h).
void FoldSteps(const Grid& grid, const LayerGeometry& layer, bool invert, std::span<float> w) {
  if (!grid.HasStepPerChannel()) return;
  const int64_t k = layer.K();
  for (int64_t o = 0; o < layer.outputs; ++o) {
    const int64_t first = o / layer.group_outputs() * layer.group_inputs();
    for (int64_t j = 0; j < k; ++j) {
      const float step = grid.StepOf(first + j / layer.positions());
      float& weight = w[static_cast<size_t>(o * k + j)];
      weight = invert ? weight / step : weight * step;
    }
  }
}

// The diagonals of the Hessians: of one output channel's weights, or with groups of every weight. What no patch reached
// still counts a little, so that its scale stays sensible.
std::vector<double> Importance(const LayerGeometry& layer, std::span<const Hessian> hessians) {
  constexpr double kLeastShare = 1e-3;  // of the mean
  std::vector<double> importance;
  const int64_t repeat = layer.groups == 1 ? 1 : layer.group_outputs();
  for (const Hessian& hessian : hessians) {
    double mean = 0;
    for (int64_t j = 0; j < hessian.size(); ++j) mean += hessian.At(j, j) / static_cast<double>(hessian.size());
    for (int64_t output = 0; output < repeat; ++output) {
      for (int64_t j = 0; j < hessian.size(); ++j) {
        importance.push_back(mean > 0 ? std::max(hessian.At(j, j), kLeastShare * mean) : 1.0);
      }
    }
  }
  return importance;
}

// Rounded without a look at the inputs.
absl::StatusOr<WeightCodes> RoundToNearest(const LayerGeometry& layer, const Tensor& w,
                                           const LayerPrecision& precision) {
  if (precision.rate == 0) return RoundWeights(w.shape(), w.Span<float>(), precision);
  const std::vector<double> alike(static_cast<size_t>(layer.K()), 1.0);
  const std::vector<Hessian> hessians(static_cast<size_t>(layer.groups), Hessian::Diagonal(alike, 1));
  return RoundForRate(w.shape(), w.Span<float>(), hessians, {.bits = precision.rate});
}

// Of columns that are not known to be correlated: too few patches to tell.
void ForgetCorrelations(std::vector<Hessian>& hessians) {
  for (Hessian& hessian : hessians) {
    std::vector<double> diagonal;
    for (int64_t i = 0; i < hessian.size(); ++i) diagonal.push_back(hessian.At(i, i));
    hessian = Hessian::Diagonal(diagonal, hessian.rows());
  }
}

// Quantizes the layers of a graph one after another while an executor runs it beside its float twin.
class Lowering {
 public:
  Lowering(TwinGraph& twin, std::vector<size_t> nodes, const std::vector<LayerPrecision>& precision,
           const LoweringOptions& options, const std::function<void(int64_t, int64_t)>& progress)
      : twin_(twin),
        graph_(twin.graph),
        options_(options),
        progress_(progress),
        nodes_(std::move(nodes)),
        precision_(precision),
        codes_(nodes_.size()),
        real_(static_cast<size_t>(twin.first_twin)),
        gaps_(static_cast<size_t>(twin.first_twin)) {}

  // Called by the executor with a value, rounded to its grid, before any node that consumes it runs, and before that
  // with its float twin.
  void OnValue(ValueId id, const Tensor& value) {
    if (!status_.ok()) return;
    if (twin_.IsTwin(id)) {
      real_[static_cast<size_t>(id - twin_.first_twin)] = &value;
      return;
    }
    const Tensor& real = *real_[static_cast<size_t>(id)];
    for (size_t layer = 0; layer < nodes_.size(); ++layer) {
      if (NodeOf(layer).inputs[0] != id) continue;
      status_ = QuantizeLayer(layer, real, value);
      if (!status_.ok()) return;
      if (progress_) progress_(++done_, static_cast<int64_t>(nodes_.size()));
    }
    if (IsResidual(id)) {
      Tensor& gap = gaps_[static_cast<size_t>(id)] = real.Clone();
      const std::span<const float> rounded = value.Span<float>();
      for (size_t i = 0; i < rounded.size(); ++i) gap.Span<float>()[i] -= rounded[i];
    }
  }

  // The codes of every layer, and the constants that hold biases as they were corrected.
  absl::Status Finish(Graph& lowered) {
    BITSTAGE_RETURN_IF_ERROR(status_);
    for (size_t layer = 0; layer < nodes_.size(); ++layer) {
      const Node& node = NodeOf(layer);
      if (!codes_[layer]) return absl::InternalError(absl::StrCat("node '", node.name, "' was never reached"));
      Constant& weights = lowered.constant(WeightsOf(node.op));
      weights.values.reset();
      weights.codes = std::move(codes_[layer]);
      lowered.constant(BiasOf(node.op)) = std::move(graph_.constant(BiasOf(node.op)));
    }
    return absl::OkStatus();
  }

 private:
  [[nodiscard]] const Node& NodeOf(size_t layer) const { return graph_.nodes[nodes_[layer]]; }
  [[nodiscard]] bool IsResidual(ValueId id) const {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](size_t node) {
      const std::vector<ValueId>& inputs = graph_.nodes[node].inputs;
      return inputs.size() > 1 && inputs[1] == id;
    });
  }

  absl::Status QuantizeLayer(size_t layer, const Tensor& real, const Tensor& input) {
    const Node& node = NodeOf(layer);
    const LayerGeometry geometry = GeometryOf(graph_, node);
    const Grid& grid = *graph_.value(node.inputs[0]).grid;
    Tensor& weights = *graph_.constant(WeightsOf(node.op)).values;
    const Tensor original = weights.Clone();
    Tensor gap;  // none where the residual is computed later than the input
    if (node.inputs.size() > 1) gap = std::move(gaps_[static_cast<size_t>(node.inputs[1])]);
    const LayerInputs inputs = {&input, &real, gap.bytes() > 0 ? &gap : nullptr};
    BITSTAGE_ASSIGN_OR_RETURN(
        std::vector<WeightCodes> candidates,
        RoundLayer(graph_, node, grid, inputs, original, std::span(precision_).subspan(layer, 1), options_));
    WeightCodes& codes = candidates[0];
    const std::vector<float> rounded = RealWeights(codes, grid, geometry);
    std::copy(rounded.begin(), rounded.end(), weights.Span<float>().begin());
    if (options_.bias_correction && HasPatches(node, input)) {
      const int64_t patches = MaxPatches(geometry);
      CorrectBias(geometry, original.Span<float>(), weights.Span<float>(), PatchMeans(geometry, real, patches),
                  PatchMeans(geometry, input, patches), graph_.constant(BiasOf(node.op)).values->Span<float>());
    }
    codes_[layer] = std::move(codes);
    return absl::OkStatus();
  }

  TwinGraph& twin_;
  Graph& graph_;
  const LoweringOptions& options_;
  const std::function<void(int64_t, int64_t)>& progress_;
  const std::vector<size_t> nodes_;  // of the twin graph, the original's alone
  const std::vector<LayerPrecision>& precision_;
  std::vector<std::optional<WeightCodes>> codes_;
  std::vector<const Tensor*> real_;  // by ValueId: the float form; the executor's, there while anybody reads it
  std::vector<Tensor> gaps_;         // by ValueId: float − rounded, of residuals
  absl::Status status_;
  int64_t done_ = 0;
};

}  // namespace

std::vector<size_t> WeightedNodes(const Graph& graph) {
  std::vector<size_t> nodes;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (WeightsOf(graph.nodes[i].op) != kNoConstant) nodes.push_back(i);
  }
  return nodes;
}

WeightCodes RoundWeights(const Shape& shape, std::span<const float> w, const LayerPrecision& precision,
                         std::span<const double> importance) {
  if (precision.codebook == Codebook::kUniform) {
    return UniformWeights(shape, w, precision.bits, precision.scale, WeightClip::kMse, importance);
  }
  const double eta = SyqThreshold(w, precision.codebook);
  std::vector<int8_t> codes = SyqCodes(w, eta, precision.codebook);
  const std::vector<double> alphas = SyqLeastSquaresAlphas(shape, precision.scale, w, codes);
  return SyqWeights(shape, precision.codebook, precision.scale, std::move(codes), alphas, precision.max_alpha);
}

absl::StatusOr<std::vector<WeightCodes>> RoundLayer(const Graph& graph, const Node& node,
                                                    const std::optional<Grid>& grid, const LayerInputs& inputs,
                                                    const Tensor& w, std::span<const LayerPrecision> candidates,
                                                    const LoweringOptions& options) {
  const Tensor& x_hat = *inputs.rounded;
  const LayerGeometry geometry = GeometryOf(graph, node);
  const Grid units = grid.value_or(Grid{});
  Tensor folded = w.Clone();
  FoldSteps(units, geometry, /*invert=*/false, folded.Span<float>());
  std::vector<WeightCodes> rounded;
  if (!options.second_order_rounding || !HasPatches(node, x_hat)) {
    for (const LayerPrecision& precision : candidates) {
      BITSTAGE_ASSIGN_OR_RETURN(rounded.emplace_back(), RoundToNearest(geometry, folded, precision));
    }
    return rounded;
  }
  std::vector<double> centre;
  if (options.bias_correction) centre = PatchMeans(geometry, x_hat, MaxPatches(geometry));
  const int64_t patches = MaxPatches(geometry);
  const auto sums_of = [&](PatchShare share) {
    RefitSums sums{LayerHessians(geometry, units, x_hat, centre, patches, share), {}};
    if (inputs.real != nullptr) {
      sums.correlations = ErrorCorrelations(geometry, units, w.Span<float>(), *inputs.real, x_hat, inputs.residual_gap,
                                            centre, patches, share);
    }
    return sums;
  };
  // Fewer patches than this a column would be fitted, not generalised from: a classifier behind a global pooling sees
  // one patch an image.
  constexpr int64_t kPatchesPerColumn = 4;
  std::vector<float> target(folded.Span<float>().begin(), folded.Span<float>().end());
  RefitSums sums = sums_of({.part = 0, .parts = inputs.real != nullptr ? 2 : 1});
  RefitSums held_back;
  if (inputs.real != nullptr) held_back = sums_of({.part = 1, .parts = 2});
  const int64_t rows = sums.hessians[0].rows() + (inputs.real != nullptr ? held_back.hessians[0].rows() : 0);
  const bool enough = rows >= kPatchesPerColumn * geometry.K();
  if (enough && inputs.real != nullptr) {
    BITSTAGE_ASSIGN_OR_RETURN(const double damping, ChooseDamping(sums, held_back));
    sums.Add(held_back);
    BITSTAGE_ASSIGN_OR_RETURN(target, RefitWeights(target, sums.correlations, sums.hessians, {.damping = damping}));
  } else {
    sums.Add(held_back);
  }
  std::vector<Hessian>& hessians = sums.hessians;
  if (!enough) ForgetCorrelations(hessians);
  const std::vector<double> importance = Importance(geometry, hessians);
  for (const LayerPrecision& precision : candidates) {
    if (precision.rate > 0) {
      BITSTAGE_ASSIGN_OR_RETURN(rounded.emplace_back(),
                                RoundForRate(w.shape(), target, hessians, {.bits = precision.rate}));
      continue;
    }
    rounded.push_back(RoundWeights(w.shape(), target, precision, importance));
    if (!enough) continue;
    BITSTAGE_ASSIGN_OR_RETURN(rounded.back(), RoundSecondOrder(target, rounded.back(), hessians, {.rounds = 3}));
  }
  return rounded;
}

std::vector<float> RealWeights(const WeightCodes& codes, const std::optional<Grid>& grid, const LayerGeometry& layer) {
  std::vector<float> weights = codes.Dequantized();
  if (grid) FoldSteps(*grid, layer, /*invert=*/true, weights);
  return weights;
}

void CorrectBias(const LayerGeometry& layer, std::span<const float> w, std::span<const float> w_hat,
                 std::span<const double> mean, std::span<const double> mean_hat, std::span<float> bias) {
  const int64_t k = layer.K();
  for (int64_t o = 0; o < layer.outputs; ++o) {
    const int64_t group = o / layer.group_outputs();
    double gap = 0;
    for (int64_t j = 0; j < k; ++j) {
      const auto at = static_cast<size_t>(o * k + j);
      const auto column = static_cast<size_t>(group * k + j);
      gap += static_cast<double>(w[at]) * mean[column] - static_cast<double>(w_hat[at]) * mean_hat[column];
    }
    bias[static_cast<size_t>(o)] += static_cast<float>(gap);
  }
}

absl::StatusOr<Graph> Lower(const Graph& graph, const std::vector<LayerPrecision>& precision, const Tensor& images,
                            const LoweringOptions& options, ThreadPool* pool,
                            const std::function<void(int64_t, int64_t)>& progress) {
  TwinGraph twin = MakeTwinGraph(graph);
  std::vector<size_t> nodes = WeightedNodes(twin.graph);
  std::erase_if(nodes, [&](size_t node) { return twin.IsTwin(twin.graph.nodes[node].output); });
  Lowering lowering(twin, std::move(nodes), precision, options, progress);
  const std::vector<TensorView> inputs(twin.graph.inputs.size(), images.View());
  BITSTAGE_RETURN_IF_ERROR(FloatExecutor(twin.graph, pool, /*snap_to_grids=*/true)
                               .Run(inputs, [&](ValueId id, Tensor& value) { lowering.OnValue(id, value); })
                               .status());
  Graph lowered = graph.Clone();
  BITSTAGE_RETURN_IF_ERROR(lowering.Finish(lowered));
  return lowered;
}

}  // namespace bitstage
