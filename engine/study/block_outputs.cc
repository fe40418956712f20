#include "engine/study/block_outputs.h"

#include <algorithm>
#include <functional>

namespace bitstage {
namespace {

bool IsSum(const Node& node) {
  const auto* binary = std::get_if<Binary>(&node.op);
  return node.inputs.size() == 2 &&
         (std::holds_alternative<Conv>(node.op) || (binary != nullptr && binary->kind == BinaryKind::kAdd));
}

bool JoinsChannels(const Node& node) {
  const auto* concat = std::get_if<Concat>(&node.op);
  return concat != nullptr && concat->axis == 0;
}

bool Enlarges(const Node& node) {
  return std::holds_alternative<ConvTranspose>(node.op) || std::holds_alternative<Resize>(node.op);
}

bool IsLayer(const Node& node) { return WeightsOf(node.op) != kNoConstant; }

// Where values come from and go to.
class Neighbours {
 public:
  explicit Neighbours(const Graph& graph) : makers_(graph.values.size()), readers_(graph.values.size()) {
    for (const Node& node : graph.nodes) {
      makers_[static_cast<size_t>(node.output)] = &node;
      for (const ValueId input : node.inputs) readers_[static_cast<size_t>(input)].push_back(&node);
    }
  }
  // None of a graph input.
  [[nodiscard]] const Node* MakerOf(ValueId value) const { return makers_[static_cast<size_t>(value)]; }
  [[nodiscard]] const std::vector<const Node*>& ReadersOf(ValueId value) const {
    return readers_[static_cast<size_t>(value)];
  }

 private:
  std::vector<const Node*> makers_;
  std::vector<std::vector<const Node*>> readers_;
};

std::vector<ValueId> OutputsOf(const Graph& graph, const std::function<bool(const Node&)>& wanted) {
  std::vector<ValueId> values;
  for (const Node& node : graph.nodes) {
    if (wanted(node)) values.push_back(node.output);
  }
  return values;
}

bool IsUNet(const Graph& graph, const Neighbours& neighbours) {
  const auto is_enlarged = [&](ValueId value) {
    const Node* maker = neighbours.MakerOf(value);
    return maker != nullptr && Enlarges(*maker);
  };
  return std::any_of(graph.nodes.begin(), graph.nodes.end(),
                     [&](const Node& node) {
                       return JoinsChannels(node) && std::any_of(node.inputs.begin(), node.inputs.end(), is_enlarged);
                     }) &&
         std::none_of(graph.nodes.begin(), graph.nodes.end(),
                      [&](const Node& node) { return IsDepthwise(graph, node.op); });
}

}  // namespace

std::vector<ValueId> BlockOutputs(const Graph& graph) {
  const Neighbours neighbours(graph);
  const auto last = std::find_if(graph.nodes.rbegin(), graph.nodes.rend(), IsLayer);
  if (last == graph.nodes.rend()) return {};
  if (IsUNet(graph, neighbours)) {
    return OutputsOf(graph, [&](const Node& node) {
      if (JoinsChannels(node)) return false;
      const std::vector<const Node*>& readers = neighbours.ReadersOf(node.output);
      return std::any_of(readers.begin(), readers.end(), [&](const Node* reader) {
        return JoinsChannels(*reader) || Enlarges(*reader) || std::holds_alternative<Pool>(reader->op) ||
               reader == &*last;
      });
    });
  }
  const auto is_separable = [&](const Node& node) {
    if (!std::holds_alternative<Conv>(node.op)) return false;
    const Node* maker = neighbours.MakerOf(node.inputs[0]);
    if (maker == nullptr || !IsDepthwise(graph, maker->op)) return false;
    const std::vector<const Node*>& readers = neighbours.ReadersOf(node.output);
    return readers.size() != 1 || !IsSum(*readers[0]);
  };
  const std::vector<ValueId> blocks =
      OutputsOf(graph, [&](const Node& node) { return IsSum(node) || JoinsChannels(node) || is_separable(node); });
  if (!blocks.empty()) return blocks;
  return OutputsOf(graph, [&](const Node& node) { return IsLayer(node) && &node != &*last; });
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
