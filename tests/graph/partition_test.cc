#include "engine/graph/partition.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "engine/reference/float_executor.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A chain of 1 x 1 convolutions with codes; layer i has channels[i] outputs. With residuals, every second layer adds
// the input of the one before.
Model Chain(const std::vector<int64_t>& channels, bool residuals = false) {
  GraphBuilder b;
  Shape shape{4, 3, 3};
  ValueId x = b.Input(shape);
  b.graph().value(x).grid = Grid{128, {0.01f}, {8}, {0}};
  ValueId block = x;
  for (size_t i = 0; i < channels.size(); ++i) {
    Conv conv;
    WeightCodes codes{{channels[i], shape[0], 1, 1}, Codebook::kUniform, 4, ScaleKind::kLayer, {}, {0.125f}, {}};
    for (int64_t w = 0; w < channels[i] * shape[0]; ++w)
      codes.codes.push_back(static_cast<int8_t>((w * 7 + 3) % 11 - 5));
    conv.weights = b.Codes(codes);
    conv.bias = b.Random({channels[i]});
    conv.clamp = Clamp{0, 6};
    std::vector<ValueId> inputs = {x};
    if (residuals && i % 2 == 1) inputs.push_back(block);
    x = b.Add(conv, inputs);
    if (i % 2 == 1) block = x;
    shape = {channels[i], 3, 3};
    b.graph().value(x).grid = Grid{0, {0.02f}, {static_cast<uint8_t>(i % 2 == 0 ? 4 : 8)}, {0}};
  }
  const ValueId logits = b.Add(b.MakeFullyConnected(channels.back(), 5), {b.Add(GlobalAveragePool{false}, {x})});
  Model model;
  model.graph = b.Finish({logits});
  auto& fc = std::get<FullyConnected>(model.graph.nodes.back().op);
  fc.weights = model.graph.AddConstant({"fc",
                                        {},
                                        WeightCodes{{5, channels.back()},
                                                    Codebook::kTernary,
                                                    2,
                                                    ScaleKind::kLayer,
                                                    std::vector<int8_t>(static_cast<size_t>(5 * channels.back()), 1),
                                                    {0.5f},
                                                    {}}});
  model.name = "chain";
  model.preprocessing = Preprocessing();
  model.labels = {"a", "b", "c", "d", "e"};
  model.class_offset = 1;
  for (const Value& value : model.graph.values) model.boundary_tables[value.name].plain.lengths = {{1, 2, 2}};
  return model;
}

std::vector<std::string> Names(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<std::string> names;
  for (const ValueId id : ids) names.push_back(graph.value(id).name);
  return names;
}

int64_t Macs(const Graph& graph) {
  int64_t macs = 0;
  for (const Node& node : graph.nodes) macs += MacsOf(graph, node);
  return macs;
}

Tensor RunOne(const Graph& graph, const Tensor& input) {
  auto outputs = FloatExecutor(graph, nullptr, /*snap_to_grids=*/true).Run(std::vector<TensorView>{input.View()});
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return std::move((*outputs)[0]);
}

TEST(PartitionTest, CutsLieOnlyWhereOneValueWithAGridCrosses) {
  const Model plain = Chain({4, 4, 4, 4});
  EXPECT_THAT(Names(plain.graph, CutCandidates(plain.graph)), ElementsAre("v1", "v2", "v3", "v4"));
  const Model residual = Chain({4, 4, 4, 4}, /*residuals=*/true);
  EXPECT_THAT(Names(residual.graph, CutCandidates(residual.graph)), ElementsAre("v2", "v4"));

  Model no_grid = Chain({4, 4, 4, 4});
  no_grid.graph.values[2].grid.reset();
  EXPECT_THAT(Names(no_grid.graph, CutCandidates(no_grid.graph)), ElementsAre("v1", "v3", "v4"));
  // An early output would have to pass through all later stages.
  Model early_output = Chain({4, 4, 4, 4});
  early_output.graph.outputs.push_back(2);
  EXPECT_THAT(Names(early_output.graph, CutCandidates(early_output.graph)), ElementsAre("v1"));
}

TEST(PartitionTest, StagesInARowComputeWhatTheModelDoes) {
  for (const bool residuals : {false, true}) {
    const Model model = Chain({4, 4, 4, 4, 4, 4}, residuals);
    const Tensor input = RandomTensor({2, 4, 3, 3}, 5);
    const Tensor expected = RunOne(model.graph, input);
    for (int stages = 1; stages <= 4; ++stages) {
      const absl::StatusOr<std::vector<Model>> parts = Partition(model, stages);
      ASSERT_TRUE(parts.ok()) << parts.status();
      ASSERT_EQ(parts->size(), static_cast<size_t>(stages));
      Tensor value = input.Clone();
      int64_t macs = 0;
      for (const Model& part : *parts) {
        value = RunOne(part.graph, value);
        macs += Macs(part.graph);
      }
      EXPECT_EQ(macs, Macs(model.graph));
      EXPECT_TRUE(std::ranges::equal(value.Span<float>(), expected.Span<float>())) << stages << " stages";
    }
  }
}

TEST(PartitionTest, EachStageCarriesWhatBelongsToIt) {
  const Model model = Chain({4, 4, 4, 4});
  const absl::StatusOr<std::vector<Model>> parts = Partition(model, 3);
  ASSERT_TRUE(parts.ok()) << parts.status();
  for (int i = 0; i < 3; ++i) {
    const Model& part = (*parts)[static_cast<size_t>(i)];
    EXPECT_EQ(part.name, "chain");
    ASSERT_TRUE(part.stage.has_value());
    EXPECT_EQ(part.stage->index, i);
    EXPECT_EQ(part.stage->count, 3);
    EXPECT_EQ(part.stage->pipeline_id, parts->front().stage->pipeline_id);
    EXPECT_EQ(part.stage->pipeline_id.size(), 64u);
    EXPECT_EQ(part.preprocessing.has_value(), i == 0);
    EXPECT_EQ(part.labels.size(), i == 2 ? 5u : 0u);
    EXPECT_EQ(part.class_offset, i == 2 ? 1 : 0);
    EXPECT_EQ(part.boundary_tables.size(), i == 1 ? 2u : 1u);
    if (i == 0) continue;
    const Graph& before = (*parts)[static_cast<size_t>(i - 1)].graph;
    const Value& sent = before.value(before.outputs[0]);
    const Value& received = part.graph.value(part.graph.inputs[0]);
    EXPECT_EQ(sent.name, received.name);
    EXPECT_TRUE(sent.grid.has_value() && sent.grid == received.grid);
    EXPECT_EQ(part.boundary_tables.count(sent.name), 1u);
  }
}

TEST(PartitionTest, ThePipelineIdTellsModelsAndCutsApart) {
  const Model model = Chain({4, 4, 4, 4});
  const auto id = [](const Model& m, int stages) { return (*Partition(m, stages))[0].stage->pipeline_id; };
  Model other = model.Clone();
  std::get<Conv>(other.graph.nodes[0].op).clamp->high = 5;
  EXPECT_EQ(id(model, 2), id(model.Clone(), 2));
  EXPECT_NE(id(model, 2), id(model, 3));
  EXPECT_NE(id(model, 2), id(other, 2));
}

TEST(PartitionTest, TheLargestStageIsAsSmallAsItCanBeAndThenTheBoundariesAre) {
  const std::vector<std::vector<int64_t>> nets = {
      {4, 4, 4, 4}, {32, 4, 4, 4, 8}, {4, 4, 4, 32, 4}, {8, 16, 4, 4, 16, 8, 4}, {4, 8, 4, 8, 4, 8, 4, 8}};
  for (const std::vector<int64_t>& channels : nets) {
    const Model model = Chain(channels);
    const std::vector<ValueId> cuts = CutCandidates(model.graph);
    for (const int stages : {2, 3}) {
      // All choices, by bit mask over the cuts.
      std::pair<int64_t, int64_t> best = {INT64_MAX, INT64_MAX};
      for (unsigned mask = 0; mask < 1u << cuts.size(); ++mask) {
        if (__builtin_popcount(mask) != stages - 1) continue;
        int64_t largest = 0, macs = 0, bits = 0;
        for (const Node& node : model.graph.nodes) {
          macs += MacsOf(model.graph, node);
          largest = std::max(largest, macs);
          const auto cut = std::find(cuts.begin(), cuts.end(), node.output);
          if (cut == cuts.end() || (mask >> (cut - cuts.begin()) & 1u) == 0) continue;
          const Value& value = model.graph.value(node.output);
          bits += value.shape.elements() * value.grid->BitsOf(0);
          macs = 0;
        }
        best = std::min(best, {largest, bits});
      }
      const absl::StatusOr<std::vector<Model>> parts = Partition(model, stages);
      ASSERT_TRUE(parts.ok()) << parts.status();
      std::pair<int64_t, int64_t> found = {0, 0};
      for (const Model& part : *parts) {
        found.first = std::max(found.first, Macs(part.graph));
        const Value& output = part.graph.value(part.graph.outputs[0]);
        if (output.grid) found.second += output.shape.elements() * output.grid->BitsOf(0);
      }
      EXPECT_EQ(found, best) << channels.size() << " layers, " << stages << " stages";
    }
  }
}

TEST(PartitionTest, TooFewCutsAreAnErrorThatSaysHowMany) {
  const Model model = Chain({4, 4, 4, 4}, /*residuals=*/true);
  const absl::Status status = Partition(model, 4).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("can be cut at 2 places, 4 stages need 3"));
  EXPECT_EQ(Partition(model, 0).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Partition((*Partition(model, 2))[1], 1).status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace bitstage
