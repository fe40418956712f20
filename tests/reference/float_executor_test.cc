#include "engine/reference/float_executor.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "engine/base/isa.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A residual block, a grouped convolution, pooling and a classifier.
Graph ResidualNet() {
  GraphBuilder b;
  const ValueId x = b.Input({3, 17, 15});
  Conv first = b.MakeConv({3, 17, 15}, 8, 3, 1, 1);
  first.clamp = Clamp{0, 6};
  const ValueId a = b.Add(first, {x});
  const ValueId c = b.Add(b.MakeConv({8, 17, 15}, 8, 3, 1, 1, 8), {a});
  const ValueId sum = b.Add(b.MakeConv({8, 17, 15}, 8, 1, 1, 0), {c, a});
  const ValueId cat = b.Add(Concat{0}, {sum, b.Add(Unary{UnaryKind::kTanh, 0, 0}, {c})});
  const ValueId mean = b.Add(GlobalAveragePool{false}, {cat});
  const ValueId logits = b.Add(b.MakeFullyConnected(16, 5), {mean});
  return b.Finish({logits, cat});
}

std::vector<float> Flat(const std::vector<Tensor>& tensors) {
  std::vector<float> values;
  for (const Tensor& tensor : tensors)
    values.insert(values.end(), tensor.Span<float>().begin(), tensor.Span<float>().end());
  return values;
}

TEST(FloatExecutorTest, BitsDoNotDependOnThreadsBatchOrTier) {
  const Graph graph = ResidualNet();
  const Tensor batch = RandomTensor({4, 3, 17, 15}, 7);
  const std::vector<TensorView> inputs = {batch.View()};
  const auto expected = FloatExecutor(graph, nullptr).Run(inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();

  for (const Isa isa : SupportedIsas()) {
    ASSERT_EQ(setenv("BITSTAGE_ISA", std::string(Name(isa)).c_str(), 1), 0);
    for (const int threads : {1, 2, 5}) {
      ThreadPool pool(threads);
      const auto found = FloatExecutor(graph, &pool).Run(inputs);
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_EQ(Flat(*found), Flat(*expected)) << Name(isa) << ", " << threads << " threads";
    }
  }
  unsetenv("BITSTAGE_ISA");

  const size_t image_size = 3 * 17 * 15;
  for (size_t image = 0; image < 4; ++image) {
    const Tensor one = Tensor::Of<float>({1, 3, 17, 15}, batch.Span<float>().subspan(image * image_size, image_size));
    const auto alone = FloatExecutor(graph, nullptr).Run(std::vector<TensorView>{one.View()});
    ASSERT_TRUE(alone.ok());
    for (size_t output = 0; output < 2; ++output) {
      const std::span<const float> own = (*alone)[output].Span<float>();
      const std::span<const float> all = (*expected)[output].Span<float>();
      EXPECT_EQ(std::memcmp(own.data(), all.data() + image * own.size(), own.size_bytes()), 0) << "image " << image;
    }
  }
}

TEST(FloatExecutorTest, AnUnknownTierIsAnErrorNotACrash) {
  const Graph graph = ResidualNet();
  const Tensor x = RandomTensor({1, 3, 17, 15}, 7);
  setenv("BITSTAGE_ISA", "abacus", 1);
  EXPECT_EQ(FloatExecutor(graph, nullptr).Run(std::vector<TensorView>{x.View()}).status().code(),
            absl::StatusCode::kInvalidArgument);
  unsetenv("BITSTAGE_ISA");
}

TEST(FloatExecutorTest, InputsOfAnotherNumberTypeOrShapeAreRefused) {
  const Graph graph = ResidualNet();
  const FloatExecutor executor(graph, nullptr);
  const Tensor wrong_shape = RandomTensor({1, 3, 15, 17}, 1);
  const Tensor no_batch = RandomTensor({3, 17, 15}, 1);
  const Tensor empty(DataType::kFloat32, {0, 3, 17, 15});
  const Tensor wrong_type(DataType::kInt32, {1, 3, 17, 15});
  for (const Tensor* tensor : {&wrong_shape, &no_batch, &empty, &wrong_type}) {
    const auto result = executor.Run(std::vector<TensorView>{tensor->View()});
    EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(result.status().message()), HasSubstr("expected FP32 of shape batch x 3x17x15"));
  }
  EXPECT_THAT(std::string(executor.Run({}).status().message()), HasSubstr("0 inputs, expected 1"));
}

TEST(FloatExecutorTest, TheObserverSeesEveryValueInOrderAndMayChangeIt) {
  GraphBuilder b;
  const ValueId x = b.Input({2});
  const ValueId y = b.Add(Unary{UnaryKind::kClamp, 0, 9}, {x});
  const ValueId z = b.Add(Binary{BinaryKind::kAdd, {}}, {x, y});
  const Graph graph = b.Finish({z, x});
  const Tensor in = Tensor::Of<float>({1, 2}, std::vector<float>{-1, 2});
  std::vector<ValueId> seen;
  const auto outputs =
      FloatExecutor(graph, nullptr).Run(std::vector<TensorView>{in.View()}, [&](ValueId id, Tensor& value) {
        seen.push_back(id);
        if (id == y) value.Span<float>()[0] = 100;
      });
  ASSERT_TRUE(outputs.ok());
  EXPECT_THAT(seen, ElementsAre(x, y, z));
  EXPECT_THAT((*outputs)[0].Span<float>(), ElementsAre(99, 4));
  EXPECT_THAT((*outputs)[1].Span<float>(), ElementsAre(-1, 2));
}

TEST(FloatExecutorTest, SnappingRoundsInputsAndResultsToTheirGrids) {
  GraphBuilder b;
  const ValueId x = b.Input({2, 1, 1});
  b.graph().value(x).grid = Grid{0, {0.5f, 2.0f}, {8}, {0}};
  Conv conv;
  // codes · scale = w · step: the real weights are 2 and 1.
  conv.weights = b.Codes({{1, 2, 1, 1}, Codebook::kUniform, 4, ScaleKind::kLayer, {1, 2}, {1.0f}, {}});
  const ValueId y = b.Add(conv, {x});
  b.graph().value(y).grid = Grid{0, {4.0f}, {2}, {0}};
  const Graph graph = b.Finish({y});
  const Tensor in = Tensor::Of<float>({2, 2, 1, 1}, std::vector<float>{1.2f, 3.5f, 50, 50});
  const std::vector<TensorView> inputs = {in.View()};
  const auto plain = FloatExecutor(graph, nullptr).Run(inputs);
  const auto snapped = FloatExecutor(graph, nullptr, /*snap_to_grids=*/true).Run(inputs);
  ASSERT_TRUE(plain.ok() && snapped.ok());
  EXPECT_FLOAT_EQ((*plain)[0].Span<float>()[0], 2 * 1.2f + 3.5f);
  EXPECT_THAT((*snapped)[0].Span<float>(), ElementsAre(8, 12));  // 2·1 + 1·4 = 1.5 steps, to even; 12 is the largest
}

}  // namespace
}  // namespace bitstage
