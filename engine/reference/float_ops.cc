#include "engine/reference/float_ops.h"

#include <cstring>

#include "engine/reference/float_kernels.h"

namespace bitstage {
namespace {

using float_kernels::Operand;
using float_kernels::RowRange;

class OpRunner {
 public:
  OpRunner(const Graph& graph, const Node& node, std::span<const void* const> inputs, void* output, RowRange rows)
      : graph_(graph), node_(node), inputs_(inputs), output_(output), rows_(rows) {}

  void operator()(const ChannelAffine& op) const {
    float_kernels::Affine(Input(0), ConstantOperand(op.scale), ConstantOperand(op.shift), Output());
  }
  void operator()(const Unary& op) const {
    if (op.kind == UnaryKind::kIdentity) return Copy();
    float_kernels::ApplyUnaryTo(op, Input(0), Output(), rows_);
  }
  void operator()(const Binary& op) const {
    float_kernels::Combine(op.kind, op.clamp, OutputShape(), Input(0), Input(1), Output());
  }
  void operator()(const BinaryConstant& op) const {
    const Operand x = Input(0);
    const Operand constant = ConstantOperand(op.constant);
    float_kernels::Combine(op.kind, std::nullopt, OutputShape(), op.constant_first ? constant : x,
                           op.constant_first ? x : constant, Output());
  }
  void operator()(const Concat& op) const { float_kernels::ConcatAlong(op.axis, graph_, node_, inputs_, Output()); }
  void operator()(const Pool& op) const { float_kernels::PoolWindows(op, Input(0), OutputShape(), Output()); }
  void operator()(const GlobalAveragePool&) const { float_kernels::MeanOfMaps(Input(0), Output()); }
  void operator()(const Reshape&) const { Copy(); }
  void operator()(const Transpose& op) const { float_kernels::Permute(op, Input(0), OutputShape(), Output()); }
  void operator()(const Pad& op) const { float_kernels::PadWith(op, Input(0), OutputShape(), Output()); }
  void operator()(const Slice& op) const { float_kernels::TakeSlice(op, Input(0), OutputShape(), Output()); }
  void operator()(const Resize& op) const { float_kernels::ResizeMaps(op, Input(0), Output(), rows_); }
  void operator()(const Softmax& op) const { float_kernels::SoftmaxAlong(op.axis, Input(0), Output(), rows_); }
  void operator()(const ArgMax& op) const {
    float_kernels::ArgMaxAlong(op, Input(0), static_cast<int64_t*>(output_), rows_);
  }
  void operator()(const FakeQuantize& op) const { float_kernels::QuantizeDequantize(op, Input(0), Output()); }
  // Not float ops: see IsFloatOp.
  void operator()(const Conv&) const {}
  void operator()(const ConvTranspose&) const {}
  void operator()(const FullyConnected&) const {}

 private:
  [[nodiscard]] Operand Input(size_t i) const {
    return {graph_.value(node_.inputs[i]).shape, static_cast<const float*>(inputs_[i])};
  }
  [[nodiscard]] Operand ConstantOperand(ConstantId id) const {
    const Tensor& values = *graph_.constant(id).values;
    return {values.shape(), values.Span<float>().data()};
  }
  [[nodiscard]] const Shape& OutputShape() const { return graph_.value(node_.output).shape; }
  [[nodiscard]] float* Output() const { return static_cast<float*>(output_); }
  void Copy() const {
    const Value& value = graph_.value(node_.output);
    std::memcpy(output_, inputs_[0], static_cast<size_t>(value.shape.elements()) * SizeOf(value.type));
  }

  const Graph& graph_;
  const Node& node_;
  std::span<const void* const> inputs_;
  void* output_;
  RowRange rows_;
};

// Rows of operators that come in pieces; the shape is the one the pieces are cut from.
struct RowCounter {
  const Shape& input;
  int64_t operator()(const Unary& op) const {
    return op.kind == UnaryKind::kIdentity ? 1 : float_kernels::UnaryRows(input);
  }
  int64_t operator()(const Resize& op) const { return input[0] * op.height; }
  int64_t operator()(const Softmax& op) const { return float_kernels::ColumnRows(input, op.axis); }
  int64_t operator()(const ArgMax& op) const { return float_kernels::ColumnRows(input, op.axis); }
  template <typename T>
  int64_t operator()(const T&) const {
    return 1;
  }
};

}  // namespace

bool IsFloatOp(const Op& op) { return WeightsOf(op) == kNoConstant; }

void RunFloatOp(const Graph& graph, const Node& node, std::span<const void* const> inputs, void* output) {
  RunFloatOpRows(graph, node, inputs, output, 0, FloatOpRows(graph, node));
}

int64_t FloatOpRows(const Graph& graph, const Node& node) {
  return std::visit(RowCounter{graph.value(node.inputs[0]).shape}, node.op);
}

void RunFloatOpRows(const Graph& graph, const Node& node, std::span<const void* const> inputs, void* output,
                    int64_t row_begin, int64_t row_end) {
  std::visit(OpRunner(graph, node, inputs, output, {row_begin, row_end}), node.op);
}

void SnapToGrid(const Grid& grid, const Shape& shape, std::span<float> values) {
  const int64_t channels = shape.rank() == 0 ? 1 : shape[0];
  const size_t inner = values.size() / static_cast<size_t>(channels);
  for (int64_t c = 0; c < channels; ++c) {
    SnapToGrid(grid, c, values.subspan(static_cast<size_t>(c) * inner, inner));
  }
}

}  // namespace bitstage
