#include "engine/compression/patches.h"

#include <algorithm>

namespace bitstage {
namespace {

// Patches gathered at a time.
constexpr int64_t kPatchBlock = 512;

// Writes the K values of the patch of output position (y, x).
void GatherPatch(const LayerGeometry& layer, const float* image, int64_t height, int64_t width, int64_t group,
                 int64_t y, int64_t x, float* to) {
  const Window& w = layer.window;
  const float* plane = image + group * layer.group_inputs() * height * width;
  for (int64_t c = 0; c < layer.group_inputs(); ++c, plane += height * width) {
    for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
      const int64_t iy = y * w.stride[0] + ky * w.dilation[0] - w.pad_before[0];
      for (int64_t kx = 0; kx < w.kernel[1]; ++kx, ++to) {
        const int64_t ix = x * w.stride[1] + kx * w.dilation[1] - w.pad_before[1];
        *to = iy >= 0 && iy < height && ix >= 0 && ix < width ? plane[iy * width + ix] : 0.0f;
      }
    }
  }
}

int64_t OutputExtent(const Window& w, int axis, int64_t in) {
  const auto a = static_cast<size_t>(axis);
  return (in + w.pad_before[a] + w.pad_after[a] - w.dilation[a] * (w.kernel[a] - 1) - 1) / w.stride[a] + 1;
}

}  // namespace

LayerGeometry GeometryOf(const Graph& graph, const Node& node) {
  LayerGeometry layer;
  const Shape& weights = graph.constant(WeightsOf(node.op)).shape();
  layer.outputs = weights[0];
  if (const auto* conv = std::get_if<Conv>(&node.op)) {
    layer.window = conv->window;
    layer.groups = conv->groups;
  } else if (const auto* transposed = std::get_if<ConvTranspose>(&node.op)) {
    layer.window = transposed->window;
    layer.groups = transposed->groups;
    layer.transposed = true;
  }
  layer.inputs = weights[1] * layer.groups;
  return layer;
}

std::vector<Hessian> LayerHessians(const LayerGeometry& layer, const Grid& grid, const Tensor& input,
                                   int64_t max_patches) {
  const Shape& shape = input.shape();
  const bool spatial = shape.rank() == 4;
  const int64_t height = spatial ? shape[2] : 1;
  const int64_t width = spatial ? shape[3] : 1;
  const int64_t out_height = OutputExtent(layer.window, 0, height);
  const int64_t out_width = OutputExtent(layer.window, 1, width);
  const int64_t per_image = out_height * out_width;
  const int64_t total = shape[0] * per_image;
  const int64_t used = std::min(total, max_patches);
  const int64_t k = layer.K();

  std::vector<Hessian> hessians;
  std::vector<float> rows(static_cast<size_t>(std::min(kPatchBlock, used) * k));
  for (int64_t group = 0; group < layer.groups; ++group) {
    Hessian& hessian = hessians.emplace_back(k);
    for (int64_t begin = 0; begin < used; begin += kPatchBlock) {
      const int64_t count = std::min(kPatchBlock, used - begin);
      for (int64_t i = 0; i < count; ++i) {
        // Evenly spaced over all patches of all images.
        const int64_t patch = (begin + i) * total / used;
        const float* image = input.Span<float>().data() + patch / per_image * layer.inputs * height * width;
        const int64_t position = patch % per_image;
        float* row = rows.data() + i * k;
        GatherPatch(layer, image, height, width, group, position / out_width, position % out_width, row);
        if (!grid.HasStepPerChannel()) continue;
        for (int64_t j = 0; j < k; ++j) row[j] /= grid.StepOf(group * layer.group_inputs() + j / layer.positions());
      }
      hessian.Add({rows.data(), static_cast<size_t>(count * k)});
    }
  }
  return hessians;
}

std::vector<double> ChannelMeans(const Tensor& batch) {
  const Shape& shape = batch.shape();
  const int64_t channels = shape.rank() > 1 ? shape[1] : 1;
  const int64_t inner = shape.rank() > 1 ? shape.InnerElements(1) : 1;
  std::vector<double> means(static_cast<size_t>(channels), 0.0);
  const float* at = batch.Span<float>().data();
  for (int64_t n = 0; n < shape[0]; ++n) {
    for (double& mean : means) {
      double sum = 0;
      for (int64_t i = 0; i < inner; ++i) sum += *at++;
      mean += sum;
    }
  }
  for (double& mean : means) mean /= static_cast<double>(shape[0] * inner);
  return means;
}

}  // namespace bitstage
