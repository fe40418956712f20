#include "engine/compression/sensitivity.h"

#include <algorithm>

#include "engine/base/status_macros.h"
#include "engine/codec/weight_coding.h"
#include "engine/compression/patches.h"
#include "engine/quant/adaptive.h"
#include "engine/quant/rate_rounding.h"
#include "engine/reference/float_executor.h"

namespace bitstage {
namespace {

// Feature vectors of a batch: element k of vector v of image n is data[(n·K + k)·inner + v].
struct Features {
  explicit Features(const Tensor& z)
      : data(z.Span<float>().data()),
        images(z.shape()[0]),
        size(z.shape().rank() > 1 ? z.shape()[1] : 1),
        inner(z.shape().rank() > 1 ? z.shape().InnerElements(1) : 1) {}
  [[nodiscard]] float At(int64_t n, int64_t k, int64_t v) const { return data[(n * size + k) * inner + v]; }

  const float* data;
  int64_t images;
  int64_t size;
  int64_t inner;
};

}  // namespace

Tensor FirstImages(const Tensor& images, int64_t count) {
  Shape shape = images.shape();
  shape[0] = std::min(shape[0], count);
  return Tensor::Of<float>(shape, images.Span<float>().first(static_cast<size_t>(shape.elements())));
}

absl::StatusOr<Tensor> RunFeatures(const Graph& graph, const Tensor& images, bool snap, ThreadPool* pool) {
  const ValueId wanted = FeatureValue(graph);
  Tensor features;
  const std::vector<TensorView> inputs = {images.View()};
  BITSTAGE_RETURN_IF_ERROR(FloatExecutor(graph, pool, snap)
                               .Run(inputs,
                                    [&](ValueId id, Tensor& value) {
                                      if (id == wanted) features = value.Clone();
                                    })
                               .status());
  return features;
}

absl::StatusOr<ActivationNoise> ActivationNoise::Create(const Graph& graph, Tensor images, ThreadPool* pool) {
  BITSTAGE_ASSIGN_OR_RETURN(Tensor reference, RunFeatures(graph, images, /*snap=*/false, pool));
  return ActivationNoise(GroupValues(graph), std::move(images), std::move(reference), pool);
}

absl::StatusOr<double> ActivationNoise::OfGroup(const Graph& with_grids, int group) const {
  Graph alone = with_grids.Clone();
  for (size_t v = 0; v < alone.values.size(); ++v) {
    if (v >= groups_.of_value.size() || groups_.of_value[v] != group) alone.values[v].grid.reset();
  }
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor found, RunFeatures(alone, images_, /*snap=*/true, pool_));
  return MeanSquaredDistance(reference_, found);
}

double MeanSquaredDistance(const Tensor& z, const Tensor& z_hat) {
  const std::span<const float> a = z.Span<float>();
  const std::span<const float> b = z_hat.Span<float>();
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double distance = static_cast<double>(a[i]) - b[i];
    sum += distance * distance;
  }
  const Features features(z);
  return sum / static_cast<double>(features.images * features.inner);
}

double MeanMargin(const Tensor& z) {
  const Features features(z);
  std::vector<float> vector(static_cast<size_t>(features.size));
  double sum = 0;
  for (int64_t n = 0; n < features.images; ++n) {
    for (int64_t v = 0; v < features.inner; ++v) {
      for (int64_t k = 0; k < features.size; ++k) vector[static_cast<size_t>(k)] = features.At(n, k, v);
      if (features.size > 1) sum += SquaredMargin(vector);
    }
  }
  return sum / static_cast<double>(features.images * features.inner);
}

absl::StatusOr<std::vector<std::vector<CodingEffect>>> MeasureSensitivities(
    const Graph& graph, const Calibration& calibration, const Tensor& images,
    const std::vector<LayerPrecision>& candidates, bool second_order_rounding, ThreadPool* pool,
    const std::function<void(int64_t, int64_t)>& progress) {
  const std::vector<size_t> nodes = WeightedNodes(graph);
  const auto total = static_cast<int64_t>(nodes.size() * (candidates.size() + 1));
  int64_t done = 0;

  // One pass of the float network shows every layer its inputs.
  std::vector<std::vector<WeightCodes>> rounded(nodes.size());  // [layer][candidate]
  Tensor reference;
  const ValueId features = FeatureValue(graph);
  absl::Status status;
  const std::vector<TensorView> inputs = {images.View()};
  const LoweringOptions options = {.second_order_rounding = second_order_rounding};
  const auto observe = [&](ValueId id, const Tensor& value) {
    if (id == features) reference = value.Clone();
    for (size_t layer = 0; layer < nodes.size() && status.ok(); ++layer) {
      const Node& node = graph.nodes[nodes[layer]];
      if (node.inputs[0] != id) continue;
      const Tensor& w = *graph.constant(WeightsOf(node.op)).values;
      auto codes = RoundLayer(graph, node, graph.value(id).grid, {&value, nullptr, nullptr}, w, candidates, options);
      if (status = codes.status(); !status.ok()) return;
      rounded[layer] = *std::move(codes);
      if (progress) progress(++done, total);
    }
  };
  BITSTAGE_RETURN_IF_ERROR(FloatExecutor(graph, pool).Run(inputs, observe).status());
  BITSTAGE_RETURN_IF_ERROR(status);

  Graph trial = graph.Clone();
  std::vector<std::vector<CodingEffect>> effects(nodes.size());
  for (size_t layer = 0; layer < nodes.size(); ++layer) {
    const Node& node = trial.nodes[nodes[layer]];
    const LayerGeometry geometry = GeometryOf(trial, node);
    std::optional<Tensor>& weights = trial.constant(WeightsOf(node.op)).values;
    std::optional<Tensor>& bias = trial.constant(BiasOf(node.op)).values;
    const Tensor original = weights->Clone();
    const Tensor original_bias = bias->Clone();
    const std::vector<double>& mean = calibration.patch_means[nodes[layer]];
    for (const WeightCodes& codes : rounded[layer]) {
      const std::vector<float> candidate = RealWeights(codes, trial.value(node.inputs[0]).grid, geometry);
      std::copy(candidate.begin(), candidate.end(), weights->Span<float>().begin());
      bias = original_bias.Clone();
      if (!mean.empty()) {
        CorrectBias(geometry, original.Span<float>(), candidate, mean, mean, bias->Span<float>());
      }
      BITSTAGE_ASSIGN_OR_RETURN(const Tensor found, RunFeatures(trial, images, /*snap=*/false, pool));
      effects[layer].push_back({EntropyBits(codes.codes), StoredBytes(codes), MeanSquaredDistance(reference, found)});
      if (progress) progress(++done, total);
    }
    weights = original.Clone();
    bias = original_bias.Clone();
  }
  return effects;
}

}  // namespace bitstage
