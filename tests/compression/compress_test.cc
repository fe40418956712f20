#include "engine/compression/compress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "engine/compression/lowering.h"
#include "engine/compression/sensitivity.h"
#include "engine/reference/float_executor.h"
#include "engine/runtime/executable.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;

// Convolutions with batch norms and a residual, depthwise, pooling and a classifier: what importers give.
Model FloatModel() {
  GraphBuilder b(21);
  const auto normalized = [&](ValueId x, const Shape& in, int64_t outputs, int64_t groups) {
    const ValueId y = b.Add(b.MakeConv(in, outputs, 3, 1, 1, groups), {x});
    return b.Add(ChannelAffine{b.Random({outputs}, 0.5f, 1.5f), b.Random({outputs}, -0.2f, 0.2f)}, {y});
  };
  const auto relu = [&](ValueId x) { return b.Add(Unary{UnaryKind::kClamp, 0, 1e30f}, {x}); };
  const ValueId x = b.Input({3, 12, 12});
  const ValueId a = relu(normalized(x, {3, 12, 12}, 16, 1));
  const ValueId c = relu(normalized(a, {16, 12, 12}, 16, 16));
  const ValueId d = relu(b.Add(Binary{}, {normalized(c, {16, 12, 12}, 16, 1), a}));
  const ValueId p = b.Add(GlobalAveragePool{.keep_dims = false}, {d});
  Model model;
  model.name = "small";
  model.graph = b.Finish({b.Add(b.MakeFullyConnected(16, 10), {p})});
  return model;
}

Tensor Outputs(const Graph& graph, const Tensor& images, bool snap) {
  const std::vector<TensorView> inputs = {images.View()};
  auto outputs = FloatExecutor(graph, nullptr, snap).Run(inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return std::move((*outputs)[0]);
}

double Signal(const Tensor& z) { return MeanSquaredDistance(z, Tensor(DataType::kFloat32, z.shape())); }

class CompressRecipes : public ::testing::TestWithParam<const char*> {};

TEST_P(CompressRecipes, TheEngineComputesWhatWasSimulatedAndStaysNearTheFloatNetwork) {
  const Model model = FloatModel();
  const Tensor images = RandomTensor({40, 3, 12, 12}, 5);
  const Tensor others = RandomTensor({8, 3, 12, 12}, 6);
  const auto recipe = ParseRecipe(GetParam());
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  auto quantized = Compress(model, images, *recipe, nullptr, {});
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  EXPECT_TRUE(quantized->IsQuantized());

  const Tensor simulated = Outputs(quantized->graph, others, /*snap=*/true);
  const Tensor reference = Outputs(model.graph, others, /*snap=*/false);
  auto executable = Executable::Compile(std::make_shared<const Model>(std::move(*quantized)), {});
  ASSERT_TRUE(executable.ok()) << executable.status();
  Session session(*executable, 8, nullptr);
  const std::vector<TensorView> inputs = {others.View()};
  ASSERT_TRUE(session.Run(8, inputs, Cancellation::None()).ok());
  const Tensor served = Tensor::Of<float>(simulated.shape(), session.Output(0).Span<float>());

  // Float rounding may move a value across a code's edge now and then; it may not do more.
  EXPECT_LT(MeanSquaredDistance(simulated, served), Signal(simulated) * 1e-3);
  EXPECT_LT(MeanSquaredDistance(reference, served), Signal(reference) * 0.2);
}

INSTANTIATE_TEST_SUITE_P(All, CompressRecipes,
                         ::testing::Values("{}", R"({"weights": "uniform:8"})",
                                           R"({"weights": "uniform:4:layer", "activations": "dqa:5+2"})",
                                           R"({"weights": "uniform:6", "activations": "dqa-paper:5+3"})",
                                           R"({"weights": "uniform:5", "activations": "uniform:5"})",
                                           R"({"weights": "uniform:8", "activations": "adaptive:5.5"})",
                                           R"({"budget": "5 bits"})", R"({"budget": "-10 points"})"));

TEST(Compress, SyqKeepsTheFirstAndTheLastLayerAtEightBits) {
  const auto recipe = ParseRecipe(R"({"weights": "syq:ternary:row"})");
  const auto quantized = Compress(FloatModel(), RandomTensor({10, 3, 12, 12}, 5), *recipe, nullptr, {});
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  const std::vector<size_t> nodes = WeightedNodes(quantized->graph);
  ASSERT_EQ(nodes.size(), 4u);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const WeightCodes& codes = *quantized->graph.constant(WeightsOf(quantized->graph.nodes[nodes[i]].op)).codes;
    const bool edge = i == 0 || i + 1 == nodes.size();
    EXPECT_EQ(codes.codebook, edge ? Codebook::kUniform : Codebook::kTernary);
    EXPECT_EQ(codes.bits, edge ? 8 : 2);
  }
}

TEST(Compress, RefusesWhatIsQuantizedAlreadyAndBudgetsThatCannotBeMet) {
  const Tensor images = RandomTensor({4, 3, 12, 12}, 5);
  const auto once = Compress(FloatModel(), images, {}, nullptr, {});
  ASSERT_TRUE(once.ok()) << once.status();
  EXPECT_EQ(Compress(*once, images, {}, nullptr, {}).status().code(), absl::StatusCode::kFailedPrecondition);
  const auto tiny = Compress(FloatModel(), images, *ParseRecipe(R"({"budget": "10 B"})"), nullptr, {});
  EXPECT_EQ(tiny.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(tiny.status().message()), HasSubstr("is the least"));
}

TEST(Compress, TablesForEveryCutArePartOfTheModel) {
  const auto quantized = Compress(FloatModel(), RandomTensor({10, 3, 12, 12}, 5), {}, nullptr, {});
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  EXPECT_FALSE(quantized->boundary_tables.empty());
}

TEST(Compress, IsTheSameForEveryNumberOfThreads) {
  const Tensor images = RandomTensor({12, 3, 12, 12}, 5);
  ThreadPool pool(3);
  const auto alone = Compress(FloatModel(), images, {}, nullptr, {});
  const auto shared = Compress(FloatModel(), images, {}, &pool, {});
  ASSERT_TRUE(alone.ok());
  ASSERT_TRUE(shared.ok());
  for (size_t i = 0; i < alone->graph.constants.size(); ++i) {
    const Constant& a = alone->graph.constants[i];
    const Constant& b = shared->graph.constants[i];
    ASSERT_EQ(a.codes.has_value(), b.codes.has_value());
    if (a.codes) {
      EXPECT_EQ(a.codes->codes, b.codes->codes) << a.name;
    }
  }
}

}  // namespace
}  // namespace bitstage
