#include "engine/study/block_outputs.h"

#include <algorithm>
#include <functional>

namespace bitstage {
namespace {

bool IsDepthwise(const Graph& graph, const Node& node) {
  const auto* conv = std::get_if<Conv>(&node.op);
  return conv != nullptr && conv->groups > 1 && graph.constant(conv->weights).shape()[1] == 1;
}

std::vector<ValueId> OutputsOf(const Graph& graph, const std::function<bool(const Node&)>& wanted) {
  std::vector<ValueId> values;
  for (const Node& node : graph.nodes) {
    if (wanted(node)) values.push_back(node.output);
  }
  return values;
}

}  // namespace

std::vector<ValueId> BlockOutputs(const Graph& graph) {
  const std::vector<ValueId> depthwise = OutputsOf(graph, [&](const Node& node) { return IsDepthwise(graph, node); });
  std::vector<ValueId> blocks = OutputsOf(graph, [&](const Node& node) {
    return std::holds_alternative<Conv>(node.op) &&
           std::find(depthwise.begin(), depthwise.end(), node.inputs[0]) != depthwise.end();
  });
  if (!blocks.empty()) return blocks;
  blocks = OutputsOf(graph, [](const Node& node) {
    const auto* binary = std::get_if<Binary>(&node.op);
    return node.inputs.size() == 2 &&
           (std::holds_alternative<Conv>(node.op) || (binary != nullptr && binary->kind == BinaryKind::kAdd));
  });
  if (!blocks.empty()) return blocks;
  blocks = OutputsOf(graph, [](const Node& node) {
    const auto* concat = std::get_if<Concat>(&node.op);
    return concat != nullptr && concat->axis == 0;
  });
  if (!blocks.empty()) return blocks;
  blocks = OutputsOf(graph, [](const Node& node) { return WeightsOf(node.op) != kNoConstant; });
  if (!blocks.empty()) blocks.pop_back();
  return blocks;
}

std::optional<Graph> EndFrom(const Graph& graph, ValueId value) {
  Graph end = graph.Clone();
  std::vector<bool> known(graph.values.size(), false);
  known[static_cast<size_t>(value)] = true;
  const auto maker = std::find_if(end.nodes.begin(), end.nodes.end(), [&](const Node& n) { return n.output == value; });
  if (maker == end.nodes.end()) return std::nullopt;
  end.nodes.erase(end.nodes.begin(), maker + 1);
  end.inputs = {value};
  const auto is_known = [&](ValueId id) { return static_cast<bool>(known[static_cast<size_t>(id)]); };
  for (const Node& node : end.nodes) {
    if (!std::all_of(node.inputs.begin(), node.inputs.end(), is_known)) return std::nullopt;
    known[static_cast<size_t>(node.output)] = true;
  }
  if (!std::all_of(end.outputs.begin(), end.outputs.end(), is_known)) return std::nullopt;
  return end;
}

}  // namespace bitstage
