#include "engine/runtime/code_table.h"

#include <numeric>
#include <optional>
#include <utility>

#include "engine/reference/float_ops.h"
#include "engine/runtime/code_layout.h"

namespace bitstage {
namespace {

constexpr int64_t kCodes = 256;
constexpr int64_t kMaxTableBytes = 1 << 22;

// How `constant` reads on an input of C x 16 x 16: one entry, or one a channel; nullopt where it varies in a channel.
std::optional<Shape> ProbeShape(const Shape& constant, const Shape& input) {
  if (constant.elements() == 1) return Shape{1};
  const bool by_channel = input.rank() == 1   ? constant == input
                          : input.rank() == 3 ? constant == Shape{input[0], 1, 1}
                                              : false;
  if (by_channel) return Shape{input[0], 1, 1};
  return std::nullopt;
}

// The node on its own, with its constants, between values of any other shape.
struct Probe {
  Graph graph;
  Node node;
  bool is_uniform = true;  // the same function for all channels

  void AddConstant(ConstantId& id, const Tensor& values, const Shape& shape) {
    Tensor copy = values.Clone();
    copy.Reshape(shape);
    is_uniform = is_uniform && shape.elements() == 1;
    id = graph.AddConstant({.name = "constant", .values = std::move(copy), .codes = std::nullopt});
  }
};

std::optional<Probe> ProbeOf(const Graph& graph, const Node& node) {
  const Shape& input = graph.value(node.inputs[0]).shape;
  Probe probe;
  probe.node = node;
  if (auto* binary = std::get_if<BinaryConstant>(&probe.node.op)) {
    const Tensor& values = *graph.constant(binary->constant).values;
    const std::optional<Shape> shape = ProbeShape(values.shape(), input);
    if (!shape) return std::nullopt;
    probe.AddConstant(binary->constant, values, *shape);
  } else if (auto* affine = std::get_if<ChannelAffine>(&probe.node.op)) {
    for (ConstantId* id : {&affine->scale, &affine->shift}) {
      const Tensor& values = *graph.constant(*id).values;
      probe.AddConstant(*id, values, values.shape());
    }
  } else if (const auto* fake = std::get_if<FakeQuantize>(&probe.node.op)) {
    probe.is_uniform = fake->step.size() == 1;
  }
  return probe;
}

}  // namespace

std::vector<uint8_t> TablesOf(const Graph& graph, const Node& node) {
  const Value& input = graph.value(node.inputs[0]);
  const Value& output = graph.value(node.output);
  std::optional<Probe> probe = ProbeOf(graph, node);
  if (!probe) return {};
  const CodeLayout layout = CodeLayout::Of(input.shape);
  const bool is_single = probe->is_uniform && IsUniform(*input.grid) && IsUniform(*output.grid);
  const int64_t channels = is_single ? 1 : layout.channels;
  if (!is_single && (layout.grid_by_pixel || channels > kMaxTableBytes / kCodes)) return {};

  const Shape shape{channels, 16, 16};
  std::vector<float> x(static_cast<size_t>(channels * kCodes));
  std::vector<float> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = input.grid->Real(static_cast<uint8_t>(i % kCodes), static_cast<int64_t>(i) / kCodes);
  }
  probe->node.inputs = {probe->graph.AddValue({.name = "x", .shape = shape, .grid = std::nullopt})};
  probe->node.output = probe->graph.AddValue({.name = "y", .shape = shape, .grid = std::nullopt});
  const void* const inputs[] = {x.data()};
  RunFloatOp(probe->graph, probe->node, inputs, y.data());

  std::vector<uint8_t> tables(y.size());
  for (size_t i = 0; i < y.size(); ++i) tables[i] = output.grid->Code(y[i], static_cast<int64_t>(i) / kCodes);
  return tables;
}

std::vector<uint8_t> RequantizingTables(const Value& part, const Value& whole, int64_t channel) {
  const int64_t channels = IsUniform(*part.grid) && IsUniform(*whole.grid) ? 1 : part.shape[0];
  std::vector<uint8_t> tables;
  for (int64_t c = 0; c < channels; ++c) {
    for (int u = 0; u < kCodes; ++u) {
      tables.push_back(whole.grid->Code(part.grid->Real(static_cast<uint8_t>(u), c), channel + c));
    }
  }
  return tables;
}

}  // namespace bitstage
