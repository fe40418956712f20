// GraphBuilder: small graphs for tests, with shapes inferred and constants drawn from a seeded generator.
//
//   GraphBuilder b(/*seed=*/1);
//   const ValueId x = b.Input({3, 8, 8});
//   const ValueId y = b.Add(b.MakeConv({3, 8, 8}, 16, 3, 1, 1), {x});
//   const Graph graph = b.Finish({y});
#pragma once

#include <random>
#include <vector>

#include "engine/graph/graph.h"

namespace bitstage {

class GraphBuilder {
 public:
  explicit GraphBuilder(unsigned seed = 1) : random_(seed) {}

  ValueId Input(const Shape& shape);
  // Fails the test where the node's shape cannot be inferred.
  ValueId Add(Op op, std::vector<ValueId> inputs);

  ConstantId Constant(const Shape& shape, const std::vector<float>& values);
  // Uniform in [low, high].
  ConstantId Random(const Shape& shape, float low = -1, float high = 1);
  ConstantId Codes(WeightCodes codes);

  // A square convolution with random weights and bias.
  Conv MakeConv(const Shape& input, int64_t outputs, int64_t kernel, int64_t stride, int64_t padding,
                int64_t groups = 1);
  FullyConnected MakeFullyConnected(int64_t inputs, int64_t outputs);

  Graph& graph() { return graph_; }
  // Validated; the builder is empty afterwards.
  Graph Finish(std::vector<ValueId> outputs);

 private:
  std::mt19937 random_;
  Graph graph_;
};

// Uniform values in [-1, 1], the same for the same seed.
Tensor RandomTensor(const Shape& shape, unsigned seed, float low = -1, float high = 1);

}  // namespace bitstage
