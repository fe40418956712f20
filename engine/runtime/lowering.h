// Lowering: from the nodes of a quantized graph to the steps of a plan.
//
// Each node becomes one of, in this order: integer steps on codes; a table or a move of codes; or its float meaning
// between conversions. Which of the last two is taken never shows in the bits; which nodes are integer steps is fixed
// by docs/integer-arithmetic.md.
#pragma once

#include <vector>

#include "engine/kernels/kernel_table.h"
#include "engine/runtime/conv_step.h"
#include "engine/runtime/placement.h"
#include "engine/runtime/plan.h"
#include "engine/runtime/weights_source.h"

namespace bitstage {

class Lowering {
 public:
  // Adds to `plan`, whose model is quantized and validated, the inputs, the steps and the slots (without offsets).
  Lowering(const kernels::KernelTable& table, const WeightsSource& weights, Executable::Plan& plan);
  // `pool` may be null; packing weights is what takes time. Fails where the source of weights does.
  absl::Status Run(ThreadPool* pool);

 private:
  // One overload a kind of node: emits its steps, or returns false where the float meaning must do.
  bool Lower(const Node& node, const Conv& op);
  bool Lower(const Node& node, const ConvTranspose& op);
  bool Lower(const Node& node, const FullyConnected& op);
  bool Lower(const Node& node, const Binary& op);
  bool Lower(const Node& node, const Pool& op);
  bool Lower(const Node& node, const GlobalAveragePool& op);
  bool Lower(const Node& node, const Concat& op);
  bool Lower(const Node& node, const Reshape& op);
  bool Lower(const Node& node, const Unary& op);
  bool Lower(const Node& node, const ChannelAffine&) { return LowerToTable(node); }
  bool Lower(const Node& node, const BinaryConstant&) { return LowerToTable(node); }
  bool Lower(const Node& node, const FakeQuantize&) { return LowerToTable(node); }
  bool Lower(const Node& node, const Transpose&) { return LowerToMove(node); }
  bool Lower(const Node& node, const Pad&) { return LowerToMove(node); }
  bool Lower(const Node& node, const Slice&) { return LowerToMove(node); }
  bool Lower(const Node& node, const Resize&) { return LowerToMove(node); }
  bool Lower(const Node&, const Softmax&) { return false; }
  bool Lower(const Node&, const ArgMax&) { return false; }

  void LowerInput(size_t index);
  bool LowerToTable(const Node& node);
  bool LowerToMove(const Node& node);
  absl::Status LowerToFloat(const Node& node);
  // `layer` lacks only the node's constants and output.
  void EmitConv(const Node& node, ConvLayer& layer);
  absl::Status MakeConvSteps(ThreadPool* pool);
  void Emit(const Node& node, std::unique_ptr<Step> step, int64_t macs = 0);

  [[nodiscard]] const Value& ValueOf(ValueId id) const { return graph_.value(id); }
  [[nodiscard]] bool AreCodes(const Node& node) const;  // all inputs
  [[nodiscard]] bool IsCode(ValueId id) const { return ValueOf(id).grid.has_value(); }
  [[nodiscard]] Place PlaceOf(ValueId id) const { return placement_.places[static_cast<size_t>(id)]; }
  [[nodiscard]] CodeOperand OperandOf(ValueId id) const;
  Place AddFloatSlot(int64_t elements);
  // The value's float32 in ONNX layout: its own place, filled when it is first asked for where a convolution wrote
  // pixels, or a dequantized copy, made likewise.
  Place FloatPlace(const Node& consumer, ValueId id);

  // A step that is made when all layers are known.
  struct PendingConv {
    size_t step;
    ConstantId weights;
    ConvLayer layer;
  };

  const Graph& graph_;
  const WeightsSource& weights_;
  const kernels::KernelTable& table_;
  Executable::Plan& plan_;
  Placement placement_;
  // By ValueId.
  std::vector<Place> float_copies_;
  std::vector<Place> interleaved_;  // float32 H x W x C, as convolutions write it
  std::vector<bool> planar_;        // … and it is in the value's own place too
  std::vector<PendingConv> pending_;
};

}  // namespace bitstage
