#include "engine/reference/float_conv.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/kernels/kernel_table.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

// Seven plain loops in double. Scatters for a transposed convolution, as its definition does.
std::vector<double> PlainConv(const Window& w, int64_t groups, bool transposed, const Shape& in, const Shape& out,
                              std::span<const float> x, std::span<const float> weights, std::span<const float> bias) {
  std::vector<double> y(static_cast<size_t>(out.elements()));
  const int64_t group_in = in[0] / groups, group_out = out[0] / groups;
  const int64_t near_h = transposed ? in[1] : out[1], near_w = transposed ? in[2] : out[2];
  const int64_t far_h = transposed ? out[1] : in[1], far_w = transposed ? out[2] : in[2];
  for (int64_t o = 0; o < out[0]; ++o) {
    for (int64_t i = 0; i < out[1] * out[2]; ++i) {
      y[static_cast<size_t>(o * out[1] * out[2] + i)] = bias[static_cast<size_t>(o)];
    }
    for (int64_t c = 0; c < group_in; ++c) {
      const int64_t channel = o / group_out * group_in + c;
      for (int64_t ny = 0; ny < near_h; ++ny) {
        for (int64_t nx = 0; nx < near_w; ++nx) {
          for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
            for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
              const int64_t fy = ny * w.stride[0] - w.pad_before[0] + ky * w.dilation[0];
              const int64_t fx = nx * w.stride[1] - w.pad_before[1] + kx * w.dilation[1];
              if (fy < 0 || fy >= far_h || fx < 0 || fx >= far_w) continue;
              const double weight =
                  weights[static_cast<size_t>(((o * group_in + c) * w.kernel[0] + ky) * w.kernel[1] + kx)];
              const int64_t from =
                  transposed ? (channel * in[1] + ny) * in[2] + nx : (channel * in[1] + fy) * in[2] + fx;
              const int64_t to = transposed ? (o * out[1] + fy) * out[2] + fx : (o * out[1] + ny) * out[2] + nx;
              y[static_cast<size_t>(to)] += weight * x[static_cast<size_t>(from)];
            }
          }
        }
      }
    }
  }
  return y;
}

struct Case {
  Shape in;
  int64_t outputs;
  int64_t groups;
  Window window;
};

class FloatConvTest : public testing::Test {
 protected:
  // Runs the node on a batch of 2 and compares with the plain loops.
  template <typename T>
  void Check(T op, const Case& test, bool transposed) {
    SCOPED_TRACE(testing::Message() << test.in.ToString() << " to " << test.outputs << " in " << test.groups);
    GraphBuilder b;
    const ValueId input = b.Input(test.in);
    op.window = test.window;
    op.groups = test.groups;
    op.weights = b.Random({test.outputs, test.in[0] / test.groups, test.window.kernel[0], test.window.kernel[1]});
    op.bias = b.Random({test.outputs});
    const ValueId output = b.Add(op, {input});
    const Graph graph = b.Finish({output});
    const Shape out = graph.value(output).shape;
    const Tensor x = RandomTensor(test.in.WithOuter(2), 3);
    Tensor y(DataType::kFloat32, out.WithOuter(2));
    RunFloatConv(graph, graph.nodes[0], RealWeights(graph, graph.nodes[0]), 2, x.Span<float>().data(), nullptr,
                 y.Span<float>().data(), nullptr, kernels::TableFor(SupportedIsas().back()).sgemm);
    for (size_t image = 0; image < 2; ++image) {
      const size_t in_size = static_cast<size_t>(test.in.elements()), out_size = static_cast<size_t>(out.elements());
      const std::vector<double> expected = PlainConv(test.window, test.groups, transposed, test.in, out,
                                                     x.Span<float>().subspan(image * in_size, in_size),
                                                     graph.constant(op.weights).values->template Span<float>(),
                                                     graph.constant(op.bias).values->template Span<float>());
      for (size_t i = 0; i < out_size; ++i) {
        ASSERT_NEAR(y.Span<float>()[image * out_size + i], expected[i], 1e-4) << "image " << image << " element " << i;
      }
    }
  }
};

const std::vector<Case>& Cases() {
  static const auto& cases = *new std::vector<Case>{
      {{3, 9, 10}, 5, 1, {{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false}},
      {{3, 9, 10}, 5, 1, {{1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false}},
      {{3, 9, 10}, 5, 1, {{1, 1}, {2, 2}, {1, 1}, {0, 0}, {0, 0}, false}},
      {{4, 9, 10}, 6, 2, {{3, 2}, {2, 3}, {1, 2}, {2, 0}, {1, 3}, false}},
      {{6, 7, 7}, 6, 6, {{3, 3}, {1, 1}, {2, 2}, {2, 2}, {2, 2}, false}},
      {{2, 5, 6}, 3, 1, {{5, 6}, {1, 1}, {1, 1}, {0, 0}, {0, 0}, false}},
      {{40, 30, 31}, 9, 1, {{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false}},  // several column blocks
      {{2, 1, 1}, 3, 1, {{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}, false}},
  };
  return cases;
}

TEST_F(FloatConvTest, ConvEqualsThePlainLoops) {
  for (const Case& test : Cases()) Check(Conv(), test, false);
}

TEST_F(FloatConvTest, ConvTransposeEqualsThePlainScatter) {
  for (const Case& test : Cases()) Check(ConvTranspose(), test, true);
  ConvTranspose padded;
  padded.output_padding = {1, 2};
  Check(padded, {{4, 9, 10}, 6, 2, {{3, 2}, {2, 3}, {1, 1}, {2, 0}, {0, 1}, false}}, true);
}

TEST_F(FloatConvTest, FullyConnectedMultipliesTheLastAxis) {
  GraphBuilder b;
  const ValueId x = b.Input({2, 3});
  FullyConnected fc;
  fc.weights = b.Constant({2, 3}, {1, 2, 3, -1, 0, 1});
  fc.bias = b.Constant({2}, {10, -2});
  fc.clamp = Clamp{0, 40};
  const Graph graph = b.Finish({b.Add(fc, {x})});
  const std::vector<float> in = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0};
  std::vector<float> out(8);
  ThreadPool pool(2);
  RunFloatConv(graph, graph.nodes[0], RealWeights(graph, graph.nodes[0]), 2, in.data(), nullptr, out.data(), &pool,
               kernels::TableFor(Isa::kReference).sgemm);
  EXPECT_EQ(out, (std::vector<float>{24, 0, 40, 0, 40, 0, 10, 0}));
}

TEST_F(FloatConvTest, ResidualIsAddedBeforeTheClamp) {
  GraphBuilder b;
  const ValueId x = b.Input({1, 1, 2});
  const ValueId r = b.Input({1, 1, 2});
  Conv conv;
  conv.weights = b.Constant({1, 1, 1, 1}, {2});
  conv.clamp = Clamp{0, 6};
  const Graph graph = b.Finish({b.Add(conv, {x, r})});
  const std::vector<float> in = {1, 4}, residual = {-3, -1};
  std::vector<float> out(2);
  RunFloatConv(graph, graph.nodes[0], RealWeights(graph, graph.nodes[0]), 1, in.data(), residual.data(), out.data(),
               nullptr, kernels::TableFor(Isa::kReference).sgemm);
  EXPECT_EQ(out, (std::vector<float>{0, 6}));
}

TEST_F(FloatConvTest, RealWeightsDivideOutAStepPerChannelOfTheRightGroup) {
  GraphBuilder b;
  const ValueId x = b.Input({4, 1, 1});
  b.graph().value(x).grid = Grid{0, {1, 2, 4, 8}, {8}, {0}};
  Conv conv;
  conv.groups = 2;
  conv.weights = b.Codes({{2, 2, 1, 1}, Codebook::kUniform, 4, ScaleKind::kChannel, {4, 4, 4, 4}, {1, 2}, {}});
  const Graph graph = b.Finish({b.Add(conv, {x})});
  EXPECT_EQ(RealWeights(graph, graph.nodes[0]), (std::vector<float>{4, 2, 2, 1}));
}

}  // namespace
}  // namespace bitstage
