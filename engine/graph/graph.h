// Graph: a network as values, constants and nodes in execution order. One graph describes ONE image (see Shape).
//
// The same type serves all stages of a model's life: as imported (float constants), after the passes (batch norm
// folded, clamps and residuals fused), and quantized (values carry a Grid, constants carry WeightCodes). What a graph
// computes is defined by it alone, so fusion decisions that change rounding are taken before a model is written, never
// at load.
//
// Value type: copying copies constants. Concurrent reads are fine.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/graph/ops.h"
#include "engine/tensor/grid.h"
#include "engine/tensor/tensor.h"
#include "engine/tensor/weight_codes.h"

namespace bitstage {

struct Value {
  std::string name;
  Shape shape;  // per image
  DataType type = DataType::kFloat32;
  std::optional<Grid> grid;  // present: the engine holds this value as u8 codes, channel = axis 0
                             // (the last axis of a rank-1 value)
};

// Exactly one of `values` (float32) and `codes` is present.
struct Constant {
  std::string name;
  std::optional<Tensor> values;
  std::optional<WeightCodes> codes;

  [[nodiscard]] const Shape& shape() const { return codes ? codes->shape : values->shape(); }
  [[nodiscard]] Constant Clone() const { return {name, values ? std::optional(values->Clone()) : std::nullopt, codes}; }
};

struct Node {
  std::string name;
  Op op;
  std::vector<ValueId> inputs;
  ValueId output = -1;
};

struct Graph {
  std::vector<Value> values;
  std::vector<Constant> constants;
  std::vector<Node> nodes;  // every input is a graph input or an earlier node's output
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;

  Graph() = default;
  Graph(Graph&&) = default;
  Graph& operator=(Graph&&) = default;
  [[nodiscard]] Graph Clone() const;

  [[nodiscard]] Value& value(ValueId id) { return values[static_cast<size_t>(id)]; }
  [[nodiscard]] const Value& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
  [[nodiscard]] Constant& constant(ConstantId id) { return constants[static_cast<size_t>(id)]; }
  [[nodiscard]] const Constant& constant(ConstantId id) const { return constants[static_cast<size_t>(id)]; }
  ValueId AddValue(Value value);
  ConstantId AddConstant(Constant constant);
};

// The name of an op as its users know it: "Conv", "FullyConnected", "MaxPool" …
std::string OpName(const Op& op);

// The weights or bias of an op that has them, else kNoConstant.
ConstantId WeightsOf(const Op& op);
ConstantId BiasOf(const Op& op);

// A convolution whose output channels read one input channel each.
bool IsDepthwise(const Graph& graph, const Op& op);

// Multiply-accumulates of one image (Conv, ConvTranspose, FullyConnected; 0 for the rest).
int64_t MacsOf(const Graph& graph, const Node& node);

// The shape a node's output has, from its inputs' shapes. INVALID_ARGUMENT naming the node, what was expected and
// found.
absl::StatusOr<Shape> InferShape(const Graph& graph, const Node& node);

// The one door for graphs from outside: ids in range, order, single assignment, every shape equal to the inferred one,
// constants of the right shapes, finite floats, valid grids and codes, accumulators that cannot overflow int32.
absl::Status Validate(const Graph& graph);

// Its two halves, for graphs whose weights have no codes in memory: all but the codes, and the codes of one constant
// (the words of both lack the constant's name).
absl::Status ValidateWithoutCodes(const Graph& graph);
absl::Status ValidateCodes(const WeightCodes& weights);

}  // namespace bitstage
