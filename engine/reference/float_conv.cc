#include "engine/reference/float_conv.h"

#include <algorithm>
#include <optional>

#include "engine/base/aligned_buffer.h"
#include "engine/base/checked_math.h"
#include "engine/reference/float_kernels.h"

namespace bitstage {
namespace {

// Bytes of unrolled input that one task multiplies: it should stay in L2.
constexpr int64_t kScratchFloats = 64 * 1024;

// What the loops need of a Conv or ConvTranspose.
struct Geometry {
  const Window* window;
  bool transposed;
  int64_t groups;
  int64_t in_channels, in_height, in_width;     // of one group
  int64_t out_channels, out_height, out_width;  // of one group

  [[nodiscard]] int64_t in_pixels() const { return in_height * in_width; }
  [[nodiscard]] int64_t out_pixels() const { return out_height * out_width; }
  [[nodiscard]] int64_t depth() const { return in_channels * window->kernel[0] * window->kernel[1]; }
  // The input is its own unrolled matrix.
  [[nodiscard]] bool IsPointwise() const {
    constexpr std::array<int64_t, 2> kOnes = {1, 1};
    constexpr std::array<int64_t, 2> kZeros = {0, 0};
    return window->kernel == kOnes && window->stride == kOnes && window->pad_before == kZeros &&
           window->pad_after == kZeros && in_height == out_height && in_width == out_width;
  }
  // The input position under kernel tap k of output position `out`, or -1 where there is none: outside the image or,
  // for a transposed convolution, between two strides.
  [[nodiscard]] int64_t Source(size_t axis, int64_t out, int64_t k, int64_t extent) const {
    int64_t at = 0;
    if (transposed) {
      const int64_t reach = out + window->pad_before[axis] - k * window->dilation[axis];
      if (reach < 0 || reach % window->stride[axis] != 0) return -1;
      at = reach / window->stride[axis];
    } else {
      at = out * window->stride[axis] - window->pad_before[axis] + k * window->dilation[axis];
    }
    return at >= 0 && at < extent ? at : -1;
  }
};

Geometry GeometryOf(const Graph& graph, const Node& node) {
  const Shape& in = graph.value(node.inputs[0]).shape;
  const Shape& out = graph.value(node.output).shape;
  const auto make = [&](const auto& op, bool transposed) {
    return Geometry{&op.window,         transposed, op.groups, in[0] / op.groups, in[1], in[2],
                    out[0] / op.groups, out[1],     out[2]};
  };
  if (const auto* conv = std::get_if<Conv>(&node.op)) return make(*conv, false);
  return make(std::get<ConvTranspose>(node.op), true);
}

// `count` inputs under kernel tap kx, from output column ox on; `row` is the input row, or null outside the image.
void UnrollRow(const Geometry& g, const float* row, int64_t kx, int64_t ox, int64_t count, float* out) {
  if (row == nullptr) {
    std::fill_n(out, count, 0.0f);
    return;
  }
  if (g.transposed) {
    for (int64_t j = 0; j < count; ++j) {
      const int64_t ix = g.Source(1, ox + j, kx, g.in_width);
      out[j] = ix < 0 ? 0.0f : row[ix];
    }
    return;
  }
  // Output j reads first + j · stride: zeros, a run inside the image, zeros.
  const int64_t stride = g.window->stride[1];
  const int64_t first = ox * stride - g.window->pad_before[1] + kx * g.window->dilation[1];
  const int64_t begin = std::clamp<int64_t>(first >= 0 ? 0 : DivideRoundUp(-first, stride), 0, count);
  const int64_t end =
      std::clamp<int64_t>(first >= g.in_width ? 0 : DivideRoundUp(g.in_width - first, stride), begin, count);
  std::fill_n(out, begin, 0.0f);
  if (stride == 1) {
    std::copy(row + first + begin, row + first + end, out + begin);
  } else {
    for (int64_t j = begin; j < end; ++j) out[j] = row[first + j * stride];
  }
  std::fill_n(out + end, count - end, 0.0f);
}

// matrix[(channel, ky, kx)][j] = the input under that tap at output pixel begin + j.
void Unroll(const Geometry& g, const float* input, int64_t begin, int64_t end, float* matrix) {
  for (int64_t c = 0; c < g.in_channels; ++c) {
    const float* map = input + c * g.in_pixels();
    for (int64_t ky = 0; ky < g.window->kernel[0]; ++ky) {
      for (int64_t kx = 0; kx < g.window->kernel[1]; ++kx) {
        for (int64_t pixel = begin; pixel < end;) {
          const int64_t oy = pixel / g.out_width;
          const int64_t count = std::min(end, (oy + 1) * g.out_width) - pixel;
          const int64_t iy = g.Source(0, oy, ky, g.in_height);
          UnrollRow(g, iy < 0 ? nullptr : map + iy * g.in_width, kx, pixel - oy * g.out_width, count, matrix);
          matrix += count;
          pixel += count;
        }
      }
    }
  }
}

struct Arguments {
  std::span<const float> weights;
  const float* bias;  // or null
  const float* input;
  const float* residual;  // or null
  float* output;
  std::optional<Clamp> clamp;
};

void Convolve(const Geometry& g, int64_t batch, const Arguments& arguments, ThreadPool* pool, Sgemm sgemm) {
  const int64_t pixels = g.out_pixels();
  const int64_t block = std::min(pixels, std::max<int64_t>(64, RoundUp(kScratchFloats / g.depth(), 32)));
  const int64_t blocks = DivideRoundUp(pixels, block);
  std::vector<AlignedBuffer> scratch(pool == nullptr ? 1 : static_cast<size_t>(pool->threads()));
  ParallelFor(pool, batch * g.groups * blocks, 1, [&](int64_t first, int64_t last, int worker) {
    AlignedBuffer& matrix = scratch[static_cast<size_t>(worker)];
    if (matrix.size() == 0 && !g.IsPointwise()) {
      matrix = AlignedBuffer(static_cast<size_t>(g.depth() * block) * sizeof(float));
    }
    for (int64_t task = first; task < last; ++task) {
      const int64_t map_group = task / blocks;  // counts groups of all images
      const int64_t begin = task % blocks * block;
      const int64_t end = std::min(begin + block, pixels);
      const int64_t columns = end - begin;
      const float* input = arguments.input + map_group * g.in_channels * g.in_pixels();
      const int64_t origin = map_group * g.out_channels * pixels + begin;
      float* output = arguments.output + origin;
      const int64_t channel = map_group % g.groups * g.out_channels;
      for (int64_t o = 0; o < g.out_channels; ++o) {
        std::fill_n(output + o * pixels, columns, arguments.bias == nullptr ? 0.0f : arguments.bias[channel + o]);
      }
      const float* unrolled = input + begin;
      int64_t stride = pixels;
      if (!g.IsPointwise()) {
        Unroll(g, input, begin, end, matrix.As<float>());
        unrolled = matrix.As<float>();
        stride = columns;
      }
      sgemm(g.out_channels, columns, g.depth(), arguments.weights.data() + channel * g.depth(), g.depth(), unrolled,
            stride, output, pixels);
      for (int64_t o = 0; o < g.out_channels; ++o) {
        for (int64_t j = o * pixels; j < o * pixels + columns; ++j) {
          const float sum = arguments.residual == nullptr ? output[j] : output[j] + arguments.residual[origin + j];
          output[j] = float_kernels::ClampTo(arguments.clamp, sum);
        }
      }
    }
  });
}

// to[j][i] = from[i][j] for `rows` x `columns`.
void TransposeMatrix(int64_t rows, int64_t columns, const float* from, float* to) {
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) to[j * rows + i] = from[i * columns + j];
  }
}

// Y^T = W·X^T: the weights, which are the large part, are read as they lie.
void Multiply(int64_t rows, int64_t inputs, int64_t outputs, const Arguments& arguments, ThreadPool* pool,
              Sgemm sgemm) {
  constexpr int64_t kBlock = 96;
  AlignedBuffer x(static_cast<size_t>(rows * inputs) * sizeof(float));
  AlignedBuffer y(static_cast<size_t>(rows * outputs) * sizeof(float));
  TransposeMatrix(rows, inputs, arguments.input, x.As<float>());
  ParallelFor(pool, DivideRoundUp(outputs, kBlock), 1, [&](int64_t first, int64_t last, int) {
    const int64_t begin = first * kBlock;
    const int64_t end = std::min(last * kBlock, outputs);
    for (int64_t o = begin; o < end; ++o) {
      std::fill_n(y.As<float>() + o * rows, rows, arguments.bias == nullptr ? 0.0f : arguments.bias[o]);
    }
    sgemm(end - begin, rows, inputs, arguments.weights.data() + begin * inputs, inputs, x.As<float>(), rows,
          y.As<float>() + begin * rows, rows);
  });
  TransposeMatrix(outputs, rows, y.As<float>(), arguments.output);
  for (int64_t i = 0; i < rows * outputs; ++i) {
    arguments.output[i] = float_kernels::ClampTo(arguments.clamp, arguments.output[i]);
  }
}

}  // namespace

std::vector<float> RealWeights(const Graph& graph, const Node& node) {
  const Constant& constant = graph.constant(WeightsOf(node.op));
  if (constant.codes) return RealWeights(graph, node, *constant.codes);
  const std::span<const float> values = constant.values->Span<float>();
  return {values.begin(), values.end()};
}

std::vector<float> RealWeights(const Graph& graph, const Node& node, const WeightCodes& codes) {
  std::vector<float> weights = codes.Dequantized();
  const Value& input = graph.value(node.inputs[0]);
  if (!input.grid || !input.grid->HasStepPerChannel()) return weights;
  // Filter o of a grouped convolution sees the input channels from group(o) · inputs on.
  const Shape& shape = codes.shape;
  const int64_t inputs = shape[1];
  const int64_t groups = input.shape[0] / inputs;
  const int64_t taps = shape.InnerElements(1);
  for (size_t i = 0; i < weights.size(); ++i) {
    const int64_t filter = static_cast<int64_t>(i) / (inputs * taps);
    const int64_t channel = filter / (shape[0] / groups) * inputs + static_cast<int64_t>(i) / taps % inputs;
    weights[i] /= input.grid->StepOf(channel);
  }
  return weights;
}

void RunFloatConv(const Graph& graph, const Node& node, std::span<const float> weights, int64_t batch,
                  const float* input, const float* residual, float* output, ThreadPool* pool, Sgemm sgemm) {
  const ConstantId bias = BiasOf(node.op);
  Arguments arguments{weights, nullptr, input, residual, output, std::nullopt};
  if (bias != kNoConstant) arguments.bias = graph.constant(bias).values->Span<float>().data();
  if (const auto* fc = std::get_if<FullyConnected>(&node.op)) {
    arguments.clamp = fc->clamp;
    const Shape& in = graph.value(node.inputs[0]).shape;
    const int64_t inputs = in[in.rank() - 1];
    const int64_t outputs = graph.constant(fc->weights).shape()[0];
    return Multiply(batch * (in.elements() / inputs), inputs, outputs, arguments, pool, sgemm);
  }
  if (const auto* conv = std::get_if<Conv>(&node.op)) arguments.clamp = conv->clamp;
  if (const auto* conv = std::get_if<ConvTranspose>(&node.op)) arguments.clamp = conv->clamp;
  Convolve(GeometryOf(graph, node), batch, arguments, pool, sgemm);
}

}  // namespace bitstage
