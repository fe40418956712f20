#include "engine/compression/patches.h"

#include <algorithm>

#include "absl/functional/function_ref.h"

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

// use(rows) for blocks of whole patches, evenly spaced over all patches of all images, at most `max_patches` in all.
void ForEachPatchBlock(const LayerGeometry& layer, const Tensor& input, int64_t group, int64_t max_patches,
                       absl::FunctionRef<void(std::span<float>)> use) {
  const Shape& shape = input.shape();
  const bool spatial = shape.rank() == 4;
  const int64_t height = spatial ? shape[2] : 1;
  const int64_t width = spatial ? shape[3] : 1;
  const int64_t out_width = OutputExtent(layer.window, 1, width);
  const int64_t per_image = OutputExtent(layer.window, 0, height) * out_width;
  const int64_t total = shape[0] * per_image;
  const int64_t used = std::min(total, max_patches);
  const int64_t k = layer.K();
  std::vector<float> rows(static_cast<size_t>(std::min(kPatchBlock, used) * k));
  for (int64_t begin = 0; begin < used; begin += kPatchBlock) {
    const int64_t count = std::min(kPatchBlock, used - begin);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t patch = (begin + i) * total / used;
      const float* image = input.Span<float>().data() + patch / per_image * layer.inputs * height * width;
      const int64_t position = patch % per_image;
      GatherPatch(layer, image, height, width, group, position / out_width, position % out_width, rows.data() + i * k);
    }
    use(std::span(rows).first(static_cast<size_t>(count * k)));
  }
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
  const int64_t k = layer.K();
  std::vector<Hessian> hessians;
  for (int64_t group = 0; group < layer.groups; ++group) {
    Hessian& hessian = hessians.emplace_back(k);
    ForEachPatchBlock(layer, input, group, max_patches, [&](std::span<float> rows) {
      if (grid.HasStepPerChannel()) {
        for (size_t i = 0; i < rows.size(); ++i) {
          const int64_t column = static_cast<int64_t>(i) % k;
          rows[i] /= grid.StepOf(group * layer.group_inputs() + column / layer.positions());
        }
      }
      hessian.Add(rows);
    });
  }
  return hessians;
}

std::vector<double> PatchMeans(const LayerGeometry& layer, const Tensor& input, int64_t max_patches) {
  const int64_t k = layer.K();
  std::vector<double> means;
  for (int64_t group = 0; group < layer.groups; ++group) {
    std::vector<double> sums(static_cast<size_t>(k), 0.0);
    int64_t patches = 0;
    ForEachPatchBlock(layer, input, group, max_patches, [&](std::span<float> rows) {
      for (size_t i = 0; i < rows.size(); ++i) sums[i % sums.size()] += rows[i];
      patches += static_cast<int64_t>(rows.size()) / k;
    });
    for (const double sum : sums) means.push_back(sum / static_cast<double>(patches));
  }
  return means;
}

bool HasPatches(const Node& node, const Tensor& input) {
  const int rank = input.shape().rank();
  return (std::holds_alternative<Conv>(node.op) && rank == 4) ||
         (std::holds_alternative<FullyConnected>(node.op) && rank == 2);
}

}  // namespace bitstage
