// The overloads of Lowering for nodes with weights.
#include <algorithm>
#include <array>
#include <optional>

#include "engine/base/checked_math.h"
#include "engine/runtime/conv_step.h"
#include "engine/runtime/float_steps.h"
#include "engine/runtime/lowering.h"
#include "engine/runtime/move_step.h"

namespace bitstage {
namespace {

constexpr int64_t kMaxSpreadElements = int64_t{1} << 28;  // as for any value (docs/integer-arithmetic.md §4)

kernels::ConvShape ShapeOf(const CodeLayout& in, const CodeLayout& out, const Window& window, int64_t groups) {
  return {.in_height = in.height,
          .in_width = in.width,
          .in_channels = in.channels,
          .out_height = out.height,
          .out_width = out.width,
          .out_channels = out.channels,
          .groups = groups,
          .kernel_height = window.kernel[0],
          .kernel_width = window.kernel[1],
          .stride_height = window.stride[0],
          .stride_width = window.stride[1],
          .dilation_height = window.dilation[0],
          .dilation_width = window.dilation[1],
          .pad_top = window.pad_before[0],
          .pad_left = window.pad_before[1]};
}

}  // namespace

bool Lowering::Lower(const Node& node, const Conv& op) {
  if (!AreCodes(node)) return false;
  ConvLayer layer;
  layer.input = OperandOf(node.inputs[0]);
  if (node.inputs.size() > 1) layer.residual = OperandOf(node.inputs[1]);
  layer.clamp = op.clamp;
  layer.shape = ShapeOf(layer.input.layout, CodeLayout::Of(ValueOf(node.output).shape), op.window, op.groups);
  EmitConv(node, layer);
  return true;
}

// Vectors, and matrices as so many pixels; the last axis of anything else is not the channel of its layout.
bool Lowering::Lower(const Node& node, const FullyConnected& op) {
  const Value& output = ValueOf(node.output);
  if (!AreCodes(node) || output.shape.rank() > 2) return false;
  ConvLayer layer;
  layer.input = OperandOf(node.inputs[0]);
  if (!layer.input.HasChannels() || (output.grid && !OperandOf(node.output).HasChannels())) return false;
  layer.clamp = op.clamp;
  layer.shape = ShapeOf(layer.input.layout, CodeLayout::Of(output.shape), Window{}, 1);
  EmitConv(node, layer);
  return true;
}

// out[y] = Σ w[k] · in[i] over i·stride + k·dilation − pad = y. With the kernel flipped, k' = kernel − 1 − k, and the
// input spread to in'[i·stride + dilation·(kernel−1) − pad] = in[i], that is out[y] = Σ w'[k'] · in'[y + k'·dilation].
bool Lowering::Lower(const Node& node, const ConvTranspose& op) {
  if (!AreCodes(node)) return false;
  const CodeOperand input = OperandOf(node.inputs[0]);
  const CodeLayout output = CodeLayout::Of(ValueOf(node.output).shape);
  std::array<int64_t, 2> reach = {};
  std::array<int64_t, 2> before = {};
  for (size_t axis = 0; axis < 2; ++axis) {
    reach[axis] = op.window.dilation[axis] * (op.window.kernel[axis] - 1);
    before[axis] = reach[axis] - op.window.pad_before[axis];
  }
  CodeOperand spread = input;
  spread.layout.height = output.height + reach[0];
  spread.layout.width = output.width + reach[1];
  const std::optional<int64_t> bytes =
      CheckedProduct(std::array<int64_t, 3>{spread.layout.height, spread.layout.width, spread.layout.channels});
  if (!bytes || *bytes > kMaxSpreadElements) return false;
  spread.place = {.slot = placement_.AddSlot(static_cast<size_t>(*bytes)), .pixel_stride = spread.layout.channels};
  Emit(node, MakeSpreadStep(input, spread, op.window.stride, before));

  Window plain;
  plain.kernel = op.window.kernel;
  plain.dilation = op.window.dilation;
  ConvLayer layer;
  layer.input = spread;
  layer.flip_kernel = true;
  layer.clamp = op.clamp;
  layer.shape = ShapeOf(spread.layout, output, plain, op.groups);
  EmitConv(node, layer);
  return true;
}

void Lowering::EmitConv(const Node& node, ConvLayer& layer) {
  if (const ConstantId bias = BiasOf(node.op); bias != kNoConstant) {
    layer.bias = graph_.constant(bias).values->Span<float>();
  }
  layer.output = PlaceOf(node.output);
  const CodeLayout layout = CodeLayout::Of(ValueOf(node.output).shape);
  const bool is_map = !IsCode(node.output) && ValueOf(node.output).shape.rank() == 3 && layout.pixels() > 1;
  if (IsCode(node.output)) {
    layer.output_grid = &*ValueOf(node.output).grid;
  } else {
    if (is_map) layer.output = AddFloatSlot(layout.pixels() * layout.channels);
    layer.output.pixel_stride = layout.channels;
  }
  pending_.push_back({plan_.steps.size(), WeightsOf(node.op), layer});
  plan_.steps.push_back(nullptr);
  plan_.infos.push_back({.node = node.name, .op = OpName(node.op), .macs = MacsOf(graph_, node)});
  if (!is_map) return;
  interleaved_[static_cast<size_t>(node.output)] = layer.output;
  const bool is_output = std::find(graph_.outputs.begin(), graph_.outputs.end(), node.output) != graph_.outputs.end();
  if (is_output) FloatPlace(node, node.output);
}

}  // namespace bitstage
