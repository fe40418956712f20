// Budgets of size, of time and of bytes on the wire.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/codec/weight_coding.h"
#include "engine/compression/compress.h"
#include "engine/compression/lowering.h"
#include "engine/graph/partition.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::HasSubstr;

// Four convolutions with residual and pooling, and a classifier.
Model FloatModel() {
  GraphBuilder b(7);
  const auto relu = [&](ValueId x) { return b.Add(Unary{UnaryKind::kClamp, 0, 1e30f}, {x}); };
  const ValueId x = b.Input({3, 12, 12});
  const ValueId a = relu(b.Add(b.MakeConv({3, 12, 12}, 16, 3, 1, 1), {x}));
  const ValueId c = relu(b.Add(b.MakeConv({16, 12, 12}, 16, 3, 1, 1), {a}));
  const ValueId d = relu(b.Add(b.MakeConv({16, 12, 12}, 16, 3, 1, 1), {c}));
  const ValueId e = relu(b.Add(b.MakeConv({16, 12, 12}, 16, 3, 1, 1), {relu(b.Add(Binary{}, {d, c}))}));
  Model model;
  model.name = "small";
  model.graph = b.Finish({b.Add(b.MakeFullyConnected(16, 10), {b.Add(GlobalAveragePool{.keep_dims = false}, {e})})});
  return model;
}

int WeightBits(const Graph& graph, const Node& node) { return graph.constant(WeightsOf(node.op)).codes->bits; }
int InputBits(const Graph& graph, const Node& node) { return graph.value(node.inputs[0]).grid->BitsOf(0); }

// A machine that takes time in proportion to bits times bits, and `slower` than its kernels promise.
class FakeStopwatch final : public Stopwatch {
 public:
  explicit FakeStopwatch(double slower = 1) : slower_(slower) {}

  static constexpr double kRestMs = 0.25;

  absl::StatusOr<std::vector<double>> Promise(const Model& model) override {
    std::vector<double> cycles;
    for (const Node& node : model.graph.nodes) {
      const bool weighted = WeightsOf(node.op) != kNoConstant;
      cycles.push_back(weighted ? static_cast<double>(MacsOf(model.graph, node)) * WeightBits(model.graph, node) *
                                      InputBits(model.graph, node)
                                : 0);
    }
    return cycles;
  }

  absl::StatusOr<StepTimes> Time(const Model& model) override {
    StepTimes times{.node_ms = *Promise(model), .total_ms = kRestMs};
    for (double& ms : times.node_ms) times.total_ms += ms *= 1e-7 * slower_;
    return times;
  }

 private:
  double slower_;
};

Recipe WithBudget(const std::string& budget) {
  Recipe recipe;
  recipe.budget = *ParseBudget(budget);
  return recipe;
}

double TimeOf(const absl::StatusOr<Model>& model) { return FakeStopwatch().Time(*model)->total_ms; }

TEST(BudgetOfSize, IsKeptByWhatTheFileTakesAndMostlySpent) {
  const Tensor images = RandomTensor({24, 3, 12, 12}, 5);
  for (const double budget : {3.1, 4.5, 5.9}) {
    const auto model = Compress(FloatModel(), images, WithBudget(absl::StrCat(budget, " bits")), nullptr, {});
    ASSERT_TRUE(model.ok()) << model.status();
    int64_t bytes = 0;
    int64_t weights = 0;
    for (const size_t node : WeightedNodes(model->graph)) {
      const WeightCodes& codes = *model->graph.constant(WeightsOf(model->graph.nodes[node].op)).codes;
      bytes += StoredBytes(codes);
      weights += codes.shape.elements();
    }
    const double bits = 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
    EXPECT_LE(bits, budget);
    EXPECT_GT(bits, 0.85 * budget);
  }
}

TEST(BudgetOfTime, IsMetAndSpentWhereMoreWouldBeBetter) {
  const Tensor images = RandomTensor({12, 3, 12, 12}, 5);
  FakeStopwatch stopwatch;
  const auto everything = Compress(FloatModel(), images, WithBudget("1000 ms"), nullptr, {}, &stopwatch);
  ASSERT_TRUE(everything.ok()) << everything.status();
  for (const size_t node : WeightedNodes(everything->graph)) {
    EXPECT_EQ(WeightBits(everything->graph, everything->graph.nodes[node]), 8);
    EXPECT_EQ(InputBits(everything->graph, everything->graph.nodes[node]), 8);
  }
  const double most = TimeOf(everything);
  for (const double share : {0.8, 0.5, 0.35}) {
    const double budget = FakeStopwatch::kRestMs + share * (most - FakeStopwatch::kRestMs);
    const auto model = Compress(FloatModel(), images, WithBudget(absl::StrCat(budget, " ms")), nullptr, {}, &stopwatch);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_LE(TimeOf(model), budget * 1.0001);
    EXPECT_GE(TimeOf(model), FakeStopwatch::kRestMs + 0.75 * share * (most - FakeStopwatch::kRestMs));
  }
}

TEST(BudgetOfTime, IsMetWithTheCodesOfAMenuWhereWidthsAreTooSlow) {
  const Tensor images = RandomTensor({12, 3, 12, 12}, 5);
  FakeStopwatch stopwatch;
  const std::string budget = "0.8 ms";
  EXPECT_THAT(
      std::string(Compress(FloatModel(), images, WithBudget(budget), nullptr, {}, &stopwatch).status().message()),
      HasSubstr("cannot be met"));
  Recipe recipe = WithBudget(budget);
  recipe.menu = *ParseMenu("syq:binary:pixel,syq:ternary:layer,8");
  const auto model = Compress(FloatModel(), images, recipe, nullptr, {}, &stopwatch);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_LE(TimeOf(model), 0.8);
  for (const size_t node : WeightedNodes(model->graph)) {
    const WeightCodes& codes = *model->graph.constant(WeightsOf(model->graph.nodes[node].op)).codes;
    EXPECT_TRUE(codes.codebook != Codebook::kUniform || codes.bits == 8) << codes.bits;
  }
}

TEST(BudgetOfTime, IsMetOnAMachineSlowerThanItsKernelsPromise) {
  const Tensor images = RandomTensor({12, 3, 12, 12}, 5);
  FakeStopwatch slow(3);
  const auto model = Compress(FloatModel(), images, WithBudget("4 ms"), nullptr, {}, &slow);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_LE(slow.Time(*model)->total_ms, 4.0);
}

TEST(BudgetOfTime, ThatCannotBeMetIsRefusedWithTheFastestThatCan) {
  const Tensor images = RandomTensor({12, 3, 12, 12}, 5);
  FakeStopwatch stopwatch;
  const auto refused = Compress(FloatModel(), images, WithBudget("0.26 ms"), nullptr, {}, &stopwatch);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  const std::string message(refused.status().message());
  ASSERT_THAT(message, HasSubstr("0.26 ms cannot be met"));
  // What it names can be had.
  const size_t begin = message.find("thread, ") + 8;
  double least = 0;
  ASSERT_TRUE(
      absl::SimpleAtod(message.substr(begin, message.find(" ms is the fastest that was measured") - begin), &least))
      << message;
  const auto fastest =
      Compress(FloatModel(), images, WithBudget(absl::StrCat(least * 1.001, " ms")), nullptr, {}, &stopwatch);
  EXPECT_TRUE(fastest.ok()) << fastest.status();
  EXPECT_EQ(Compress(FloatModel(), images, WithBudget("2 ms"), nullptr, {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

// Coded bytes that cross between two stages, a frame's header included.
double WireBytes(const Model& model) {
  const auto stages = Partition(model, 2);
  EXPECT_TRUE(stages.ok()) << stages.status();
  const Value& value = (*stages)[0].graph.value((*stages)[0].graph.outputs[0]);
  return 24 +
         std::ceil(static_cast<double>(value.shape.elements()) * model.boundary_tables.at(value.name).plain_bits / 8);
}

TEST(BudgetOfWireBytes, NarrowsTheBoundaryAloneAsFarAsItMust) {
  const Tensor images = RandomTensor({12, 3, 12, 12}, 5);
  const auto plain = Compress(FloatModel(), images, {}, nullptr, {});
  ASSERT_TRUE(plain.ok()) << plain.status();
  const double budget = 0.6 * WireBytes(*plain);
  const auto model = Compress(FloatModel(), images, WithBudget(absl::StrCat(budget, " wire bytes")), nullptr, {});
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_LE(WireBytes(*model), budget);
  int narrowed = 0;
  for (const Value& value : model->graph.values) narrowed += value.grid && value.grid->BitsOf(0) < 8;
  EXPECT_EQ(narrowed, 1);
  // Enough room changes nothing.
  const auto roomy = Compress(FloatModel(), images, WithBudget("100000 wire bytes"), nullptr, {});
  ASSERT_TRUE(roomy.ok()) << roomy.status();
  EXPECT_EQ(WireBytes(*roomy), WireBytes(*plain));
}

TEST(BudgetOfWireBytes, ThatCannotBeMetIsRefusedWithTheLeast) {
  const auto refused =
      Compress(FloatModel(), RandomTensor({12, 3, 12, 12}, 5), WithBudget("30 wire bytes"), nullptr, {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("is the least (2 bits an element at 1 boundary"));
}

}  // namespace
}  // namespace bitstage
