#include "tests/graph/graph_builder.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace bitstage {

ValueId GraphBuilder::Input(const Shape& shape) {
  const ValueId id = graph_.AddValue({absl::StrCat("v", graph_.values.size()), shape, DataType::kFloat32, {}});
  graph_.inputs.push_back(id);
  return id;
}

ValueId GraphBuilder::Add(Op op, std::vector<ValueId> inputs) {
  Node node{absl::StrCat("n", graph_.nodes.size()), std::move(op), std::move(inputs), -1};
  const absl::StatusOr<Shape> shape = InferShape(graph_, node);
  EXPECT_TRUE(shape.ok()) << shape.status();
  const auto* unary = std::get_if<Unary>(&node.op);
  const bool moves =
      std::holds_alternative<Reshape>(node.op) || (unary != nullptr && unary->kind == UnaryKind::kIdentity);
  const DataType type = std::holds_alternative<ArgMax>(node.op) ? DataType::kInt64
                        : moves                                 ? graph_.value(node.inputs[0]).type
                                                                : DataType::kFloat32;
  node.output = graph_.AddValue({absl::StrCat("v", graph_.values.size()), shape.ok() ? *shape : Shape{1}, type, {}});
  graph_.nodes.push_back(std::move(node));
  return graph_.nodes.back().output;
}

ConstantId GraphBuilder::Constant(const Shape& shape, const std::vector<float>& values) {
  return graph_.AddConstant({absl::StrCat("c", graph_.constants.size()), Tensor::Of<float>(shape, values), {}});
}

ConstantId GraphBuilder::Random(const Shape& shape, float low, float high) {
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(static_cast<size_t>(shape.elements()));
  for (float& value : values) value = uniform(random_);
  return Constant(shape, values);
}

ConstantId GraphBuilder::Codes(WeightCodes codes) {
  return graph_.AddConstant({absl::StrCat("c", graph_.constants.size()), {}, std::move(codes)});
}

Conv GraphBuilder::MakeConv(const Shape& input, int64_t outputs, int64_t kernel, int64_t stride, int64_t padding,
                            int64_t groups) {
  Conv conv;
  conv.window = {{kernel, kernel}, {stride, stride}, {1, 1}, {padding, padding}, {padding, padding}, false};
  conv.groups = groups;
  conv.weights = Random({outputs, input[0] / groups, kernel, kernel});
  conv.bias = Random({outputs});
  return conv;
}

FullyConnected GraphBuilder::MakeFullyConnected(int64_t inputs, int64_t outputs) {
  return {Random({outputs, inputs}), Random({outputs}), {}};
}

Graph GraphBuilder::Finish(std::vector<ValueId> outputs) {
  graph_.outputs = std::move(outputs);
  const absl::Status status = Validate(graph_);
  EXPECT_TRUE(status.ok()) << status;
  return std::exchange(graph_, Graph());
}

Tensor RandomTensor(const Shape& shape, unsigned seed, float low, float high) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  Tensor tensor(DataType::kFloat32, shape);
  for (float& value : tensor.Span<float>()) value = uniform(random);
  return tensor;
}

}  // namespace bitstage
