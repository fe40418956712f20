#include "engine/compression/calibration.h"

#include <utility>

#include "engine/base/status_macros.h"
#include "engine/compression/patches.h"
#include "engine/reference/float_executor.h"

namespace bitstage {

ValueId FeatureValue(const Graph& graph) {
  const ValueId output = graph.outputs[0];
  for (const Node& node : graph.nodes) {
    if (node.output == output &&
        (std::holds_alternative<Softmax>(node.op) || std::holds_alternative<ArgMax>(node.op))) {
      return node.inputs[0];
    }
  }
  return output;
}

absl::StatusOr<Calibration> Calibrate(const Graph& graph, const Tensor& images, ThreadPool* pool,
                                      const std::function<void(int64_t, int64_t)>& progress) {
  Calibration calibration;
  calibration.values.resize(graph.values.size());
  calibration.patch_means.resize(graph.nodes.size());
  const ValueId features = FeatureValue(graph);
  int64_t done = 0;
  const auto observe = [&](ValueId id, Tensor& value) {
    if (id == features) calibration.features = value.Clone();
    if (progress) progress(++done, static_cast<int64_t>(graph.nodes.size() + graph.inputs.size()));
    if (value.type() != DataType::kFloat32) return;
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      const Node& node = graph.nodes[i];
      if (WeightsOf(node.op) == kNoConstant || node.inputs[0] != id || !HasPatches(node, value)) continue;
      const LayerGeometry layer = GeometryOf(graph, node);
      calibration.patch_means[i] = PatchMeans(layer, value, MaxPatches(layer));
    }
    ValueStatistics& statistics = calibration.values[static_cast<size_t>(id)];
    const int64_t channels = value.shape().rank() > 1 ? value.shape()[1] : 1;
    const int64_t images_seen = value.shape()[0];
    const int64_t inner = value.shape().elements() / (images_seen * channels);
    statistics.channels.resize(static_cast<size_t>(channels));
    const float* data = value.Span<float>().data();
    const auto feed = [&](int64_t begin, int64_t end, int) {
      for (int64_t c = begin; c < end; ++c) {
        for (int64_t n = 0; n < images_seen; ++n) {
          statistics.channels[static_cast<size_t>(c)].Add(
              {data + (n * channels + c) * inner, static_cast<size_t>(inner)});
        }
      }
    };
    ParallelFor(pool, channels, 1, feed);
  };
  const std::vector<TensorView> inputs = {images.View()};
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs, FloatExecutor(graph, pool).Run(inputs, observe));
  return calibration;
}

}  // namespace bitstage
