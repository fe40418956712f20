#include "engine/graph/sweep.h"

#include <utility>

namespace bitstage {

Sweep::Sweep(Graph& graph)
    : graph_(graph),
      readers_(graph.values.size(), 0),
      is_output_(graph.values.size(), false),
      producer_(graph.values.size(), -1),
      alias_(graph.values.size(), -1) {
  for (const Node& node : graph.nodes) {
    for (const ValueId id : node.inputs) ++readers_[static_cast<size_t>(id)];
  }
  for (const ValueId id : graph.outputs) is_output_[static_cast<size_t>(id)] = true;
}

void Sweep::Keep(Node node) {
  const auto output = static_cast<size_t>(node.output);
  if (output >= producer_.size()) {  // a value that the pass added
    readers_.resize(output + 1, 1);
    is_output_.resize(output + 1, false);
    producer_.resize(output + 1, -1);
    alias_.resize(output + 1, -1);
  }
  producer_[output] = static_cast<int>(kept_.size());
  kept_.push_back(std::move(node));
}

Node* Sweep::Producer(ValueId id) {
  const int index = producer_[static_cast<size_t>(id)];
  if (index < 0) return nullptr;
  Node& node = kept_[static_cast<size_t>(index)];
  return node.output == id ? &node : nullptr;
}

Node* Sweep::SoleProducer(ValueId id) {
  return readers_[static_cast<size_t>(id)] == 1 && !IsOutput(id) ? Producer(id) : nullptr;
}

void Sweep::GiveOutput(Node& producer, ValueId output) {
  producer.output = output;
  producer_[static_cast<size_t>(output)] = static_cast<int>(&producer - kept_.data());
}

void Sweep::Replace(ValueId from, ValueId to) {
  alias_[static_cast<size_t>(from)] = to;
  readers_[static_cast<size_t>(to)] += readers_[static_cast<size_t>(from)] - 1;  // the node that goes read one of them
}

ValueId Sweep::Resolve(ValueId id) const {
  while (alias_[static_cast<size_t>(id)] >= 0) id = alias_[static_cast<size_t>(id)];
  return id;
}

void Sweep::Finish() {
  graph_.nodes.clear();
  for (Node& node : kept_) {
    if (node.output == kRemoved) continue;
    for (ValueId& id : node.inputs) id = Resolve(id);
    graph_.nodes.push_back(std::move(node));
  }
}

bool SweepNodes(Graph& graph, absl::FunctionRef<bool(Sweep&, Node&)> rewrite) {
  Sweep sweep(graph);
  std::vector<Node> nodes = std::exchange(graph.nodes, {});
  bool changed = false;
  for (Node& node : nodes) {
    for (ValueId& id : node.inputs) id = sweep.Resolve(id);
    if (rewrite(sweep, node)) {
      changed = true;
    } else {
      sweep.Keep(std::move(node));
    }
  }
  sweep.Finish();
  return changed;
}

}  // namespace bitstage
