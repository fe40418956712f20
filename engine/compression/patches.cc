#include "engine/compression/patches.h"

#include <algorithm>

#include "absl/functional/function_ref.h"
#include "engine/quant/dense.h"

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

// Evenly spaced patches over all patches of all images, at most `max_patches`.
class PatchSample {
 public:
  PatchSample(const LayerGeometry& layer, const Shape& input, int64_t max_patches, PatchShare share = {})
      : layer_(layer), height_(input.rank() == 4 ? input[2] : 1), width_(input.rank() == 4 ? input[3] : 1) {
    out_width_ = OutputExtent(layer.window, 1, width_);
    per_image_ = OutputExtent(layer.window, 0, height_) * out_width_;
    total_ = input[0] * per_image_;
    of_all_ = std::min(total_, max_patches);
    first_ = of_all_ * share.part / share.parts;
    size_ = of_all_ * (share.part + 1) / share.parts - first_;
  }

  [[nodiscard]] int64_t size() const { return size_; }
  // Where patch i is: its image, and its place in the map of outputs.
  [[nodiscard]] int64_t Image(int64_t i) const { return Index(i) / per_image_; }
  [[nodiscard]] int64_t Position(int64_t i) const { return Index(i) % per_image_; }
  [[nodiscard]] int64_t positions() const { return per_image_; }

  // The K values of each of `count` patches.
  void Gather(const Tensor& input, int64_t group, int64_t first, int64_t count, float* rows) const {
    const float* images = input.Span<float>().data();
    for (int64_t i = 0; i < count; ++i) {
      const float* image = images + Image(first + i) * layer_.inputs * height_ * width_;
      const int64_t position = Position(first + i);
      GatherPatch(layer_, image, height_, width_, group, position / out_width_, position % out_width_,
                  rows + i * layer_.K());
    }
  }

 private:
  [[nodiscard]] int64_t Index(int64_t i) const { return (first_ + i) * total_ / of_all_; }

  const LayerGeometry& layer_;
  int64_t height_, width_, out_width_, per_image_, total_, of_all_, first_, size_;
};

// use(rows) for blocks of whole patches.
void ForEachPatchBlock(const LayerGeometry& layer, const Tensor& input, int64_t group, int64_t max_patches,
                       PatchShare share, absl::FunctionRef<void(std::span<float>)> use) {
  const PatchSample sample(layer, input.shape(), max_patches, share);
  const int64_t k = layer.K();
  std::vector<float> rows(static_cast<size_t>(std::min(kPatchBlock, sample.size()) * k));
  for (int64_t begin = 0; begin < sample.size(); begin += kPatchBlock) {
    const int64_t count = std::min(kPatchBlock, sample.size() - begin);
    sample.Gather(input, group, begin, count, rows.data());
    use(std::span(rows).first(static_cast<size_t>(count * k)));
  }
}

// rows -= centre, then in units of the grid's steps where those differ by channel.
void CentreAndScale(const LayerGeometry& layer, const Grid& grid, std::span<const double> centre, int64_t group,
                    std::span<float> rows) {
  const int64_t k = layer.K();
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t column = static_cast<int64_t>(i) % k;
    if (!centre.empty()) rows[i] -= static_cast<float>(centre[static_cast<size_t>(group * k + column)]);
    if (grid.HasStepPerChannel()) rows[i] /= grid.StepOf(group * layer.group_inputs() + column / layer.positions());
  }
}

// to (columns x rows) = from (rows x columns) transposed.
void TransposeInto(std::span<const float> from, int64_t columns, std::vector<float>& to) {
  const int64_t rows = static_cast<int64_t>(from.size()) / columns;
  to.resize(from.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c)
      to[static_cast<size_t>(c * rows + r)] = from[static_cast<size_t>(r * columns + c)];
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
                                   std::span<const double> centre, int64_t max_patches, PatchShare share) {
  std::vector<Hessian> hessians;
  for (int64_t group = 0; group < layer.groups; ++group) {
    Hessian& hessian = hessians.emplace_back(layer.K());
    ForEachPatchBlock(layer, input, group, max_patches, share, [&](std::span<float> rows) {
      CentreAndScale(layer, grid, centre, group, rows);
      hessian.Add(rows);
    });
  }
  return hessians;
}

std::vector<float> ErrorCorrelations(const LayerGeometry& layer, const Grid& grid, std::span<const float> weights,
                                     const Tensor& x, const Tensor& x_hat, const Tensor* residual_gap,
                                     std::span<const double> centre, int64_t max_patches, PatchShare share) {
  const PatchSample sample(layer, x_hat.shape(), max_patches, share);
  const int64_t k = layer.K();
  const int64_t outputs = layer.group_outputs();
  std::vector<float> correlations(weights.size());
  std::vector<float> rows(static_cast<size_t>(std::min(kPatchBlock, sample.size()) * k));
  std::vector<float> rows_hat(rows.size());
  std::vector<float> gaps, errors;
  for (int64_t group = 0; group < layer.groups; ++group) {
    for (int64_t begin = 0; begin < sample.size(); begin += kPatchBlock) {
      const int64_t count = std::min(kPatchBlock, sample.size() - begin);
      const auto size = static_cast<size_t>(count * k);
      sample.Gather(x, group, begin, count, rows.data());
      sample.Gather(x_hat, group, begin, count, rows_hat.data());
      for (size_t i = 0; i < size; ++i) rows[i] -= rows_hat[i];
      TransposeInto(std::span(rows).first(size), k, gaps);
      errors.assign(static_cast<size_t>(outputs * count), 0.0f);
      if (residual_gap != nullptr) {
        const float* gap = residual_gap->Span<float>().data();
        for (int64_t o = 0; o < outputs; ++o) {
          for (int64_t i = 0; i < count; ++i) {
            const int64_t plane = sample.Image(begin + i) * layer.outputs + group * outputs + o;
            errors[static_cast<size_t>(o * count + i)] = gap[plane * sample.positions() + sample.Position(begin + i)];
          }
        }
      }
      AddProduct(Sign::kPlus, outputs, count, k, weights.data() + group * outputs * k, k, gaps.data(), count,
                 errors.data(), count);
      CentreAndScale(layer, grid, centre, group, std::span(rows_hat).first(size));
      AddProduct(Sign::kPlus, outputs, k, count, errors.data(), count, rows_hat.data(), k,
                 correlations.data() + group * outputs * k, k);
    }
  }
  return correlations;
}

std::vector<double> PatchMeans(const LayerGeometry& layer, const Tensor& input, int64_t max_patches) {
  const int64_t k = layer.K();
  std::vector<double> means;
  for (int64_t group = 0; group < layer.groups; ++group) {
    std::vector<double> sums(static_cast<size_t>(k), 0.0);
    int64_t patches = 0;
    ForEachPatchBlock(layer, input, group, max_patches, {}, [&](std::span<float> rows) {
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
