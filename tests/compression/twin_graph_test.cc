#include "engine/compression/twin_graph.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/reference/float_executor.h"
#include "tests/graph/graph_builder.h"

namespace bitstage {
namespace {

// The values of one run, in the order in which they were shown.
std::vector<std::pair<ValueId, Tensor>> Values(const Graph& graph, const Tensor& images) {
  std::vector<std::pair<ValueId, Tensor>> values;
  const std::vector<TensorView> inputs(graph.inputs.size(), images.View());
  const auto outputs =
      FloatExecutor(graph, nullptr, /*snap_to_grids=*/true).Run(inputs, [&](ValueId id, Tensor& value) {
        values.emplace_back(id, value.Clone());
      });
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return values;
}

bool SameFloats(const Tensor& a, const Tensor& b) {
  const std::span<const float> x = a.Span<float>();
  const std::span<const float> y = b.Span<float>();
  return std::equal(x.begin(), x.end(), y.begin(), y.end());
}

TEST(TwinGraph, OneRunShowsBothFormsTheFloatOneFirst) {
  GraphBuilder b(5);
  const ValueId x = b.Input({3, 6, 6});
  const ValueId y = b.Add(b.MakeConv({3, 6, 6}, 4, 3, 1, 1), {x});
  const ValueId z = b.Add(b.MakeConv({4, 6, 6}, 4, 3, 1, 1), {y, y});
  const Graph real = b.Finish({z});
  Graph rounded = real.Clone();
  for (const ValueId id : {x, y}) rounded.value(id).grid = Grid{.zero_point = 8, .step = {0.25f}, .bits = {4}};
  const Tensor images = RandomTensor({2, 3, 6, 6}, 7);

  const TwinGraph twin = MakeTwinGraph(rounded);
  std::map<ValueId, Tensor> expected;
  for (auto& [id, value] : Values(rounded, images)) expected.emplace(id, std::move(value));
  for (auto& [id, value] : Values(real, images)) expected.emplace(twin.first_twin + id, std::move(value));
  EXPECT_FALSE(SameFloats(expected.at(z), expected.at(twin.first_twin + z))) << "rounding must have changed something";

  std::vector<ValueId> order;
  for (const auto& [id, value] : Values(twin.graph, images)) {
    order.push_back(id);
    EXPECT_TRUE(SameFloats(value, expected.at(id))) << "value " << id;
  }
  ASSERT_EQ(order.size(), expected.size());
  for (const ValueId id : {x, y, z}) {
    EXPECT_LT(std::find(order.begin(), order.end(), twin.first_twin + id), std::find(order.begin(), order.end(), id));
  }
}

TEST(TwinGraph, TheTwinKeepsItsWeightsWhenTheOriginalsChange) {
  GraphBuilder b(5);
  const ValueId x = b.Input({3, 6, 6});
  const ValueId y = b.Add(b.MakeConv({3, 6, 6}, 4, 3, 1, 1), {x});
  const Graph graph = b.Finish({y});
  const Tensor images = RandomTensor({1, 3, 6, 6}, 7);
  TwinGraph twin = MakeTwinGraph(graph);
  std::map<ValueId, Tensor> before;
  for (auto& [id, value] : Values(twin.graph, images)) before.emplace(id, std::move(value));
  for (float& w : twin.graph.constant(WeightsOf(graph.nodes[0].op)).values->Span<float>()) w = 0;
  for (const auto& [id, value] : Values(twin.graph, images)) {
    EXPECT_EQ(SameFloats(value, before.at(id)), id != y) << "value " << id;
  }
}

}  // namespace
}  // namespace bitstage
