#include "engine/runtime/executable.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/graph/graph_builder.h"
#include "tests/kernels/amx_emulator.h"
#include "tests/runtime/executable_testing.h"
#include "tests/runtime/random_network.h"

namespace bitstage {
namespace {

constexpr int64_t kImages = 5;

std::vector<std::vector<OracleValue>> ExpectedValues(const Graph& graph, const Tensor& images) {
  const auto elements = static_cast<size_t>(graph.value(graph.inputs[0]).shape.elements());
  std::vector<std::vector<OracleValue>> expected;
  for (size_t i = 0; i < static_cast<size_t>(images.shape()[0]); ++i) {
    const std::span<const float> image = images.Span<float>().subspan(i * elements, elements);
    const std::vector<float> inputs[] = {{image.begin(), image.end()}};
    expected.push_back(EvaluateGraph(graph, inputs));
  }
  return expected;
}

// Runs images [first, first + batch) and compares every output with the oracle's.
void ExpectOracle(const Graph& graph, const std::vector<std::vector<OracleValue>>& expected, const Tensor& images,
                  int64_t first, int64_t batch, Session& session) {
  const Shape& shape = graph.value(graph.inputs[0]).shape;
  const TensorView view{DataType::kFloat32, shape.WithOuter(batch),
                        images.Span<float>().data() + first * shape.elements()};
  ASSERT_TRUE(session.Run(batch, {{view}}, Cancellation::None()).ok());
  for (size_t output = 0; output < graph.outputs.size(); ++output) {
    for (int64_t i = 0; i < batch; ++i) {
      ASSERT_EQ(OutputBytes(session, output, i), ExpectedBytes(graph, expected[static_cast<size_t>(first + i)], output))
          << "output " << output << " image " << first + i << " of a batch of " << batch;
    }
  }
}

class RandomNetworkTest : public testing::TestWithParam<unsigned> {};

TEST_P(RandomNetworkTest, EveryTierThreadCountAndBatchGivesTheOraclesBits) {
  const auto model = ModelOf(RandomNetwork(GetParam()).Make(/*nodes=*/9, /*extent=*/10));
  const Tensor images = ImagesFor(model->graph, kImages, GetParam() + 1000);
  const auto expected = ExpectedValues(model->graph, images);
  for (const Isa isa : TestedIsas()) {
    const auto executable = CompileOrDie(model, isa);
    ASSERT_NE(executable, nullptr);
    for (const int threads : {1, 2, 3}) {
      SCOPED_TRACE(testing::Message() << Name(isa) << ", threads " << threads);
      ThreadPool pool(threads);
      Session session(executable, kImages, &pool);
      for (const int64_t batch : {5, 1, 2}) {
        for (int64_t first = 0; first + batch <= kImages; first += batch) {
          ExpectOracle(model->graph, expected, images, first, batch, session);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomNetworkTest, testing::Range(0u, 60u));

// Small networks run on one thread: their steps are not worth sharing. This one's are.
TEST(ExecutableTest, RowsSharedAmongThreadsGiveTheOraclesBits) {
  for (const unsigned seed : {201u, 202u, 203u}) {
    const auto model = ModelOf(RandomNetwork(seed).Make(/*nodes=*/5, /*extent=*/48));
    const Tensor images = ImagesFor(model->graph, 2, seed);
    const auto expected = ExpectedValues(model->graph, images);
    for (const Isa isa : TestedIsas()) {
      const auto executable = CompileOrDie(model, isa);
      ASSERT_NE(executable, nullptr);
      for (const int threads : {2, 3}) {
        SCOPED_TRACE(testing::Message() << "seed " << seed << ", " << Name(isa) << ", threads " << threads);
        ThreadPool pool(threads);
        Session session(executable, 2, &pool);
        ExpectOracle(model->graph, expected, images, 0, 2, session);
        if (HasFatalFailure()) return;
      }
    }
  }
}

// A classifier's last convolution writes floats pixel by pixel, and its mean reads them so; whoever else wants the map
// gets it in the order of ONNX.
TEST(ExecutableTest, MeansOfFloatMapsGiveTheOraclesBits) {
  for (const bool others : {false, true}) {
    GraphBuilder b(11);
    const ValueId x = b.Input({5, 6, 7});
    b.graph().value(x).grid = Grid{.zero_point = 100, .step = {0.02f}};
    Conv conv = b.MakeConv({5, 6, 7}, 300, 3, 1, 1);
    conv.weights = b.Codes(PatternCodes({300, 5, 3, 3}, 4, 0.02f));
    const ValueId map = b.Add(conv, {x});
    const ValueId mean = b.Add(GlobalAveragePool{false}, {map});
    const auto model =
        ModelOf(others ? b.Finish({mean, b.Add(Unary{UnaryKind::kSigmoid}, {map}), map}) : b.Finish({mean}));
    const Tensor images = ImagesFor(model->graph, 2, 3);
    const auto expected = ExpectedValues(model->graph, images);
    for (const Isa isa : SupportedIsas()) {
      SCOPED_TRACE(testing::Message() << Name(isa) << ", others " << others);
      const auto executable = CompileOrDie(model, isa);
      ASSERT_NE(executable, nullptr);
      const std::vector<StepInfo>& steps = executable->steps();
      const auto count = [&](const std::string& kernel) {
        return std::count_if(steps.begin(), steps.end(), [&](const StepInfo& step) { return step.kernel == kernel; });
      };
      EXPECT_EQ(count("mean"), 1);
      EXPECT_EQ(count("planar"), others ? 1 : 0);
      ThreadPool pool(2);
      Session session(executable, 2, &pool);
      ExpectOracle(model->graph, expected, images, 0, 2, session);
    }
  }
}

// The random networks must reach what they are meant to test.
TEST(ExecutableTest, RandomNetworksTakeEveryKindOfStep) {
  std::set<std::string> kernels;
  for (unsigned seed = 0; seed < 60; ++seed) {
    const auto executable = CompileOrDie(ModelOf(RandomNetwork(seed).Make(9, 10)), Isa::kReference);
    ASSERT_NE(executable, nullptr);
    for (const StepInfo& step : executable->steps()) kernels.insert(step.kernel);
  }
  const std::set<std::string> expected = {"reference", "add",      "max_pool",   "average_pool", "table", "move",
                                          "copy",      "quantize", "dequantize", "planar",       "float", "spread"};
  EXPECT_EQ(kernels, expected);
}

TEST(ExecutableTest, TheAmxTierTakesTilesInRandomNetworks) {
  if (TestedIsas().back() != Isa::kAmx) GTEST_SKIP() << "this CPU has neither AMX nor what its emulation needs";
  int layers = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    const auto executable = CompileOrDie(ModelOf(RandomNetwork(seed).Make(9, 10)), Isa::kAmx);
    ASSERT_NE(executable, nullptr);
    for (const StepInfo& step : executable->steps()) layers += step.kernel == "amx_direct" ? 1 : 0;
  }
  EXPECT_GE(layers, 20);
}

}  // namespace
}  // namespace bitstage
