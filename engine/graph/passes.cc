#include "engine/graph/passes.h"

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/graph/constant_refs.h"
#include "engine/graph/sweep.h"

namespace bitstage {
namespace {

// Rounds of all passes; real networks need three or four. What is left after them is correct, only less fused.
constexpr int kMaxRounds = 64;

struct IsIdentity {
  const Shape& input;
  const Shape& output;

  bool operator()(const Unary& op) const {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    return op.kind == UnaryKind::kIdentity ||
           (op.kind == UnaryKind::kClamp && op.alpha == -kInfinity && op.beta == kInfinity);
  }
  bool operator()(const Transpose& op) const { return std::is_sorted(op.permutation.begin(), op.permutation.end()); }
  bool operator()(const Pool& op) const {
    const Window& w = op.window;
    return w.kernel[0] * w.kernel[1] == 1 && w.stride[0] * w.stride[1] == 1 && SameShape();
  }
  bool operator()(const Resize& op) const { return op.scale_height == 1 && op.scale_width == 1 && SameShape(); }
  // These move elements in order, or take the mean of one: what has the same shape is the same.
  bool operator()(const Concat&) const { return SameShape(); }
  bool operator()(const GlobalAveragePool&) const { return SameShape(); }
  bool operator()(const Reshape&) const { return SameShape(); }
  bool operator()(const Pad&) const { return SameShape(); }
  bool operator()(const Slice&) const { return SameShape(); }
  template <typename T>
  bool operator()(const T&) const {
    return false;
  }

 private:
  [[nodiscard]] bool SameShape() const { return input == output; }
};

// Keeps the items that are used, in order, and writes down each one's new id.
template <typename Item>
std::vector<int32_t> Compact(std::vector<Item>& items, const std::vector<bool>& used) {
  std::vector<int32_t> new_id(items.size(), -1);
  size_t kept = 0;
  for (size_t id = 0; id < items.size(); ++id) {
    if (!used[id]) continue;
    new_id[id] = static_cast<int32_t>(kept);
    if (kept != id) items[kept] = std::move(items[id]);
    ++kept;
  }
  items.resize(kept);
  return new_id;
}

template <typename Item>
void MakeNamesUnique(std::vector<Item>& items) {
  std::unordered_set<std::string> seen;
  for (Item& item : items) {
    const std::string name = item.name;
    for (int i = 2; !seen.insert(item.name).second; ++i) item.name = absl::StrCat(name, "_", i);
  }
}

}  // namespace

// y = x: readers of y read x. Where y is a graph output, whatever makes x makes y.
bool RemoveIdentities(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    const ValueId x = node.inputs[0];
    const Shape& shape = sweep.graph().value(x).shape;
    if (node.inputs.size() != 1 || !std::visit(IsIdentity{shape, sweep.graph().value(node.output).shape}, node.op)) {
      return false;
    }
    if (!sweep.IsOutput(node.output)) {
      sweep.Replace(node.output, x);
      return true;
    }
    Node* producer = sweep.Producer(x);
    if (producer == nullptr || sweep.IsOutput(x)) return false;
    sweep.GiveOutput(*producer, node.output);
    sweep.Replace(x, node.output);
    return true;
  });
}

// reshape(reshape(x)) = reshape(x): neither changes the order of elements.
bool MergeReshapes(Graph& graph) {
  return SweepNodes(graph, [](Sweep& sweep, Node& node) {
    const Node* producer = sweep.Producer(node.inputs[0]);
    if (!std::holds_alternative<Reshape>(node.op) || producer == nullptr ||
        !std::holds_alternative<Reshape>(producer->op)) {
      return false;
    }
    node.inputs[0] = producer->inputs[0];
    sweep.Keep(std::move(node));
    return true;
  });
}

void DropUnused(Graph& graph) {
  std::vector<bool> needed(graph.values.size(), false);
  std::vector<bool> constants(graph.constants.size(), false);
  for (const ValueId id : graph.outputs) needed[static_cast<size_t>(id)] = true;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (!needed[static_cast<size_t>(node->output)]) continue;
    for (const ValueId id : node->inputs) needed[static_cast<size_t>(id)] = true;
    for (const ConstantId* id : ConstantRefs(node->op)) constants[static_cast<size_t>(*id)] = true;
  }
  std::erase_if(graph.nodes, [&](const Node& node) { return !needed[static_cast<size_t>(node.output)]; });
  for (const ValueId id : graph.inputs) needed[static_cast<size_t>(id)] = true;

  const std::vector<int32_t> value_ids = Compact(graph.values, needed);
  const std::vector<int32_t> constant_ids = Compact(graph.constants, constants);
  const auto renumber = [](const std::vector<int32_t>& ids, int32_t& id) { id = ids[static_cast<size_t>(id)]; };
  for (Node& node : graph.nodes) {
    for (ValueId& id : node.inputs) renumber(value_ids, id);
    renumber(value_ids, node.output);
    for (ConstantId* id : ConstantRefs(node.op)) renumber(constant_ids, *id);
  }
  for (ValueId& id : graph.inputs) renumber(value_ids, id);
  for (ValueId& id : graph.outputs) renumber(value_ids, id);
  MakeNamesUnique(graph.values);
  MakeNamesUnique(graph.constants);
  MakeNamesUnique(graph.nodes);
}

absl::Status Optimize(Graph& graph) {
  for (const Constant& constant : graph.constants) {
    if (constant.codes) {
      return absl::FailedPreconditionError(absl::StrCat("constant '", constant.name, "' is quantized already"));
    }
  }
  for (const Value& value : graph.values) {
    if (value.grid) {
      return absl::FailedPreconditionError(absl::StrCat("value '", value.name, "' is quantized already"));
    }
  }
  constexpr bool (*kPasses[])(Graph&) = {
      RemoveIdentities, MergeReshapes, ConstantsToAffine, MergeAffines,  FoldAffineIntoProducer, FoldAffineIntoConsumer,
      FoldPads,         HoistClamps,   FuseClamps,        FuseResiduals, FullyConnectedToConv,
  };
  DropUnused(graph);
  bool changed = true;
  for (int round = 0; changed && round < kMaxRounds; ++round) {
    changed = false;
    for (const auto pass : kPasses) {
      changed |= pass(graph);
      DropUnused(graph);
    }
  }
  return Validate(graph);
}

}  // namespace bitstage
