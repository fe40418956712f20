#include "engine/graph/shape_inference.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/base/refuse.h"
#include "engine/base/status_macros.h"
#include "engine/graph/window_shape.h"

namespace bitstage {
namespace {

absl::Status CheckClamp(const std::optional<Clamp>& clamp) {
  if (!clamp || clamp->low <= clamp->high) return absl::OkStatus();  // false for NaN
  return Refuse("clamp from ", clamp->low, " to ", clamp->high);
}

// The inputs were checked (count apart), constants were not. Messages leave out the node: InferShape adds it.
class Inference {
 public:
  Inference(const Graph& graph, const Node& node) : graph_(graph), node_(node) {}

  absl::StatusOr<Shape> operator()(const Conv& conv) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 2));
    BITSTAGE_RETURN_IF_ERROR(Rank(3));
    BITSTAGE_RETURN_IF_ERROR(CheckClamp(conv.clamp));
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t outputs, Kernel(conv.window, conv.groups, conv.weights, conv.bias));
    BITSTAGE_ASSIGN_OR_RETURN(const Extents extents, ConvExtents(conv.window, {Input()[1], Input()[2]}));
    const Shape output{outputs, extents[0], extents[1]};
    if (node_.inputs.size() == 2 && !(Input(1) == output)) {
      return Refuse("the residual has shape ", Input(1).ToString(), ", expected the output's, ", output.ToString());
    }
    return output;
  }

  absl::StatusOr<Shape> operator()(const ConvTranspose& conv) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_RETURN_IF_ERROR(Rank(3));
    BITSTAGE_RETURN_IF_ERROR(CheckClamp(conv.clamp));
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t outputs, Kernel(conv.window, conv.groups, conv.weights, conv.bias));
    BITSTAGE_ASSIGN_OR_RETURN(const Extents extents,
                              ConvTransposeExtents(conv.window, conv.output_padding, {Input()[1], Input()[2]}));
    return Shape{outputs, extents[0], extents[1]};
  }

  absl::StatusOr<Shape> operator()(const FullyConnected& fc) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    if (Input().rank() == 0) return Refuse("the input is a scalar, expected at least one axis");
    BITSTAGE_RETURN_IF_ERROR(CheckClamp(fc.clamp));
    BITSTAGE_ASSIGN_OR_RETURN(const Constant* weights, ConstantOf("weights", fc.weights));
    const int last = Input().rank() - 1;
    const Shape& shape = weights->shape();
    if (shape.rank() != 2 || shape[1] != Input()[last]) {
      return Refuse("weights have shape ", shape.ToString(), ", expected O x ", Input()[last]);
    }
    if (fc.bias != kNoConstant) BITSTAGE_RETURN_IF_ERROR(FloatConstant("bias", fc.bias, {shape[0]}));
    Shape output = Input();
    output[last] = shape[0];
    return output;
  }

  absl::StatusOr<Shape> operator()(const ChannelAffine& affine) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    if (Input().rank() == 0) return Refuse("the input is a scalar, expected a channel axis");
    BITSTAGE_RETURN_IF_ERROR(FloatConstant("scale", affine.scale, {Input()[0]}));
    BITSTAGE_RETURN_IF_ERROR(FloatConstant("shift", affine.shift, {Input()[0]}));
    return Input();
  }

  absl::StatusOr<Shape> operator()(const Unary& unary) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    if (unary.kind == UnaryKind::kClamp) {
      BITSTAGE_RETURN_IF_ERROR(CheckClamp(Clamp{unary.alpha, unary.beta}));
    } else if (!std::isfinite(unary.alpha) || !std::isfinite(unary.beta)) {
      return Refuse("alpha ", unary.alpha, ", beta ", unary.beta, ", expected finite numbers");
    }
    return Input();
  }

  absl::StatusOr<Shape> operator()(const Binary& binary) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(2, 2));
    BITSTAGE_RETURN_IF_ERROR(CheckClamp(binary.clamp));
    return Broadcast(Input(0), Input(1));
  }

  absl::StatusOr<Shape> operator()(const BinaryConstant& binary) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_ASSIGN_OR_RETURN(const Constant* constant, ConstantOf("constant", binary.constant));
    if (!constant->values) return Refuse("constant '", constant->name, "' holds weight codes, expected floats");
    BITSTAGE_ASSIGN_OR_RETURN(const Shape output, Broadcast(Input(), constant->shape()));
    if (!(output == Input())) {
      return Refuse("constant '", constant->name, "' of shape ", constant->shape().ToString(),
                    " does not broadcast to the input's shape ", Input().ToString());
    }
    return output;
  }

  absl::StatusOr<Shape> operator()(const Concat& concat) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, node_.inputs.size()));
    BITSTAGE_RETURN_IF_ERROR(Axis(concat.axis));
    Shape output = Input();
    for (size_t i = 1; i < node_.inputs.size(); ++i) {
      Shape expected = Input(i);
      if (expected.rank() == output.rank()) expected[concat.axis] = output[concat.axis];
      if (!(expected == output)) {
        return Refuse("input ", i, " has shape ", Input(i).ToString(), ", which does not fit ", Input().ToString(),
                      " along axis ", concat.axis);
      }
      output[concat.axis] += Input(i)[concat.axis];
    }
    return output;
  }

  absl::StatusOr<Shape> operator()(const Pool& pool) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_RETURN_IF_ERROR(Rank(3));
    BITSTAGE_ASSIGN_OR_RETURN(const Extents extents, PoolExtents(pool.window, {Input()[1], Input()[2]}));
    return Shape{Input()[0], extents[0], extents[1]};
  }

  absl::StatusOr<Shape> operator()(const GlobalAveragePool& pool) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_RETURN_IF_ERROR(Rank(3));
    return pool.keep_dims ? Shape{Input()[0], 1, 1} : Shape{Input()[0]};
  }

  absl::StatusOr<Shape> operator()(const Reshape& reshape) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_RETURN_IF_ERROR(CheckShape(reshape.shape));
    if (reshape.shape.elements() != Input().elements()) {
      return Refuse("cannot reshape ", Input().ToString(), " to ", reshape.shape.ToString());
    }
    return reshape.shape;
  }

  absl::StatusOr<Shape> operator()(const Transpose& transpose) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_RETURN_IF_ERROR(Entries("permutation", transpose.permutation.size()));
    std::vector<bool> seen(transpose.permutation.size());
    Shape output;
    for (const int axis : transpose.permutation) {
      BITSTAGE_RETURN_IF_ERROR(Axis(axis));
      if (seen[static_cast<size_t>(axis)]) return Refuse("the permutation names axis ", axis, " twice");
      seen[static_cast<size_t>(axis)] = true;
      output.Append(Input()[axis]);
    }
    return output;
  }

  absl::StatusOr<Shape> operator()(const Pad& pad) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_RETURN_IF_ERROR(Entries("padding before", pad.before.size()));
    BITSTAGE_RETURN_IF_ERROR(Entries("padding after", pad.after.size()));
    if (!std::isfinite(pad.value)) return Refuse("padding with ", pad.value, ", expected a finite number");
    Shape output = Input();
    for (int axis = 0; axis < output.rank(); ++axis) {
      const int64_t before = pad.before[static_cast<size_t>(axis)];
      const int64_t after = pad.after[static_cast<size_t>(axis)];
      if (std::min(before, after) < 0 || std::max(before, after) > kMaxElements) {
        return Refuse("padding of axis ", axis, " by ", before, " and ", after, ", expected 0 to ", kMaxElements);
      }
      output[axis] += before + after;
    }
    return output;
  }

  absl::StatusOr<Shape> operator()(const Slice& slice) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_RETURN_IF_ERROR(Entries("begin", slice.begin.size()));
    BITSTAGE_RETURN_IF_ERROR(Entries("step", slice.step.size()));
    BITSTAGE_RETURN_IF_ERROR(Entries("extent", slice.extent.size()));
    for (int axis = 0; axis < Input().rank(); ++axis) {
      const auto i = static_cast<size_t>(axis);
      const std::optional<int64_t> span = CheckedMul(slice.extent[i] - 1, slice.step[i]);
      const std::optional<int64_t> last = span ? CheckedAdd(slice.begin[i], *span) : std::nullopt;
      if (slice.extent[i] < 1 || slice.step[i] < 1 || !last || *last >= Input()[axis]) {
        return Refuse("slice of axis ", axis, " takes ", slice.extent[i], " from ", slice.begin[i], " in steps of ",
                      slice.step[i], ", but the axis has ", Input()[axis]);
      }
    }
    return Shape(slice.extent.begin(), slice.extent.end());
  }

  absl::StatusOr<Shape> operator()(const Resize& resize) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_RETURN_IF_ERROR(Rank(3));
    for (const float scale : {resize.scale_height, resize.scale_width}) {
      if (!std::isfinite(scale) || !(scale > 0)) return Refuse("scale ", scale, ", expected a positive number");
    }
    return Shape{Input()[0], resize.height, resize.width};
  }

  absl::StatusOr<Shape> operator()(const Softmax& softmax) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_RETURN_IF_ERROR(Axis(softmax.axis));
    return Input();
  }

  absl::StatusOr<Shape> operator()(const ArgMax& arg_max) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    BITSTAGE_RETURN_IF_ERROR(Axis(arg_max.axis));
    Shape output;
    for (int axis = 0; axis < Input().rank(); ++axis) {
      if (axis != arg_max.axis) output.Append(Input()[axis]);
      if (axis == arg_max.axis && arg_max.keep_dims) output.Append(1);
    }
    return output;
  }

  absl::StatusOr<Shape> operator()(const FakeQuantize& fake) const {
    BITSTAGE_RETURN_IF_ERROR(Inputs(1, 1));
    constexpr int kLimit = 1 << 16;
    const size_t channels = Input().rank() == 0 ? 1 : static_cast<size_t>(Input()[0]);
    if (fake.step.size() != 1 && fake.step.size() != channels) {
      return Refuse(fake.step.size(), " steps, expected 1 or ", channels);
    }
    for (const float step : fake.step) {
      if (!std::isfinite(step) || !(step > 0)) return Refuse("step ", step, ", expected a positive number");
    }
    if (!(-kLimit <= fake.low && fake.low <= fake.zero_point && fake.zero_point <= fake.high && fake.high <= kLimit)) {
      return Refuse("codes from ", fake.low, " to ", fake.high, " with zero point ", fake.zero_point,
                    ", expected them in this order within ", kLimit);
    }
    return Input();
  }

 private:
  [[nodiscard]] const Shape& Input(size_t i = 0) const { return graph_.value(node_.inputs[i]).shape; }

  [[nodiscard]] absl::Status Inputs(size_t least, size_t most) const {
    const size_t found = node_.inputs.size();
    if (found >= least && found <= most && found > 0) return absl::OkStatus();
    return Refuse(found, " inputs, expected ", least, most > least ? absl::StrCat(" or ", most) : "");
  }
  [[nodiscard]] absl::Status Rank(int rank) const {
    if (Input().rank() == rank) return absl::OkStatus();
    return Refuse("the input has shape ", Input().ToString(), ", expected rank ", rank);
  }
  [[nodiscard]] absl::Status Axis(int axis) const {
    if (axis >= 0 && axis < Input().rank()) return absl::OkStatus();
    return Refuse("axis ", axis, " of an input of shape ", Input().ToString());
  }
  [[nodiscard]] absl::Status Entries(absl::string_view attribute, size_t found) const {
    if (found == static_cast<size_t>(Input().rank())) return absl::OkStatus();
    return Refuse(attribute, " has ", found, " entries, expected ", Input().rank());
  }

  [[nodiscard]] absl::StatusOr<const Constant*> ConstantOf(absl::string_view role, ConstantId id) const {
    if (id < 0 || static_cast<size_t>(id) >= graph_.constants.size()) {
      return Refuse(role, " is constant ", id, " of ", graph_.constants.size());
    }
    const Constant& constant = graph_.constant(id);
    if (constant.values.has_value() == constant.codes.has_value()) {
      return Refuse(role, " '", constant.name, "' needs either values or codes");
    }
    if (constant.values && constant.values->type() != DataType::kFloat32) {
      return Refuse(role, " '", constant.name, "' has type ", Name(constant.values->type()), ", expected FP32");
    }
    BITSTAGE_RETURN_IF_ERROR(CheckShape(constant.shape()));
    return &constant;
  }
  [[nodiscard]] absl::Status FloatConstant(absl::string_view role, ConstantId id, const Shape& expected) const {
    BITSTAGE_ASSIGN_OR_RETURN(const Constant* constant, ConstantOf(role, id));
    if (!constant->values) return Refuse(role, " '", constant->name, "' holds weight codes, expected floats");
    if (constant->shape() == expected) return absl::OkStatus();
    return Refuse(role, " '", constant->name, "' has shape ", constant->shape().ToString(), ", expected ",
                  expected.ToString());
  }

  // The output channels of a convolution whose weights, bias and groups fit together and to the input.
  [[nodiscard]] absl::StatusOr<int64_t> Kernel(const Window& window, int64_t groups, ConstantId weights_id,
                                               ConstantId bias) const {
    const int64_t channels = Input()[0];
    if (groups < 1 || channels % groups != 0) return Refuse(groups, " groups of ", channels, " input channels");
    BITSTAGE_ASSIGN_OR_RETURN(const Constant* weights, ConstantOf("weights", weights_id));
    const Shape& shape = weights->shape();
    if (shape.rank() != 4 || shape[1] != channels / groups || shape[2] != window.kernel[0] ||
        shape[3] != window.kernel[1]) {
      return Refuse("weights have shape ", shape.ToString(), ", expected O x ", channels / groups, " x ",
                    window.kernel[0], " x ", window.kernel[1]);
    }
    if (shape[0] % groups != 0) return Refuse(groups, " groups of ", shape[0], " output channels");
    if (bias != kNoConstant) BITSTAGE_RETURN_IF_ERROR(FloatConstant("bias", bias, {shape[0]}));
    return shape[0];
  }

  // numpy: aligned at the last axis, extents equal or one of them 1.
  [[nodiscard]] static absl::StatusOr<Shape> Broadcast(const Shape& a, const Shape& b) {
    const Shape& longer = a.rank() >= b.rank() ? a : b;
    const Shape& shorter = a.rank() >= b.rank() ? b : a;
    const int offset = longer.rank() - shorter.rank();
    Shape output = longer;
    for (int axis = 0; axis < shorter.rank(); ++axis) {
      int64_t& extent = output[axis + offset];
      if (extent != shorter[axis] && extent != 1 && shorter[axis] != 1) {
        return Refuse("shapes ", a.ToString(), " and ", b.ToString(), " do not broadcast");
      }
      extent = std::max(extent, shorter[axis]);
    }
    return output;
  }

  const Graph& graph_;
  const Node& node_;
};

}  // namespace

absl::Status CheckShape(const Shape& shape) {
  if (shape.rank() > kMaxRank) return Refuse("rank ", shape.rank(), ", expected at most ", kMaxRank);
  const std::optional<int64_t> elements = shape.CheckedElements();
  if (!elements || *elements > kMaxElements) {
    return Refuse("shape ", shape.ToString(), " has more than ", kMaxElements, " elements, or a negative extent");
  }
  if (*elements == 0) return Refuse("shape ", shape.ToString(), " is empty");
  return absl::OkStatus();
}

absl::StatusOr<Shape> InferNodeShape(const Graph& graph, const Node& node) {
  for (const ValueId id : node.inputs) {
    if (id < 0 || static_cast<size_t>(id) >= graph.values.size()) {
      return Refuse("input is value ", id, " of ", graph.values.size());
    }
    if (absl::Status s = CheckShape(graph.value(id).shape); !s.ok()) {
      return Refuse("input '", graph.value(id).name, "': ", s.message());
    }
  }
  BITSTAGE_ASSIGN_OR_RETURN(Shape shape, std::visit(Inference(graph, node), node.op));
  if (absl::Status s = CheckShape(shape); !s.ok()) return Refuse("output: ", s.message());
  return shape;
}

absl::Status InNode(const Node& node, const absl::Status& status) {
  if (status.ok()) return status;
  return {status.code(), absl::StrCat("node '", node.name, "' (", OpName(node.op), "): ", status.message())};
}

absl::StatusOr<Shape> InferShape(const Graph& graph, const Node& node) {
  absl::StatusOr<Shape> shape = InferNodeShape(graph, node);
  if (!shape.ok()) return InNode(node, shape.status());
  return shape;
}

}  // namespace bitstage
