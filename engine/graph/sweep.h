// Sweep: what every pass is made of. Takes the nodes of a graph one by one, in order, and puts them back, fused with or
// replaced by others. Time is linear in the graph.
//
//   return SweepNodes(graph, [](Sweep& sweep, Node& node) {
//     Node* producer = sweep.SoleProducer(node.inputs[0]);
//     if (producer == nullptr || …) return false;       // unchanged: the sweep keeps the node
//     sweep.GiveOutput(*producer, node.output);         // fused: the node is gone
//     return true;
//   });
#pragma once

#include <vector>

#include "absl/functional/function_ref.h"
#include "engine/graph/graph.h"

namespace bitstage {

class Sweep {
 public:
  explicit Sweep(Graph& graph);

  [[nodiscard]] Graph& graph() { return graph_; }

  // Appends a node to the new order.
  void Keep(Node node);
  // Takes a node out of the new order.
  void Remove(Node& node) { node.output = kRemoved; }

  // The kept node that makes `id`, or nullptr (graph inputs). Valid until the next Keep.
  [[nodiscard]] Node* Producer(ValueId id);
  // The same, but nullptr unless the node under way is the only reader of `id` and `id` is no graph output.
  [[nodiscard]] Node* SoleProducer(ValueId id);
  [[nodiscard]] bool IsOutput(ValueId id) const { return is_output_[static_cast<size_t>(id)]; }

  // A kept node makes `output` from now on, in place of what it made.
  void GiveOutput(Node& producer, ValueId output);
  // From here on, and in all kept nodes, `to` is read in place of `from`.
  void Replace(ValueId from, ValueId to);

 private:
  friend bool SweepNodes(Graph& graph, absl::FunctionRef<bool(Sweep&, Node&)> rewrite);
  static constexpr ValueId kRemoved = -1;

  [[nodiscard]] ValueId Resolve(ValueId id) const;
  void Finish();

  Graph& graph_;
  std::vector<Node> kept_;
  std::vector<int> readers_;  // by value, as they were when the sweep began
  std::vector<bool> is_output_;
  std::vector<int> producer_;  // index in kept_ by value, −1 for none
  std::vector<ValueId> alias_;
};

// Calls rewrite for every node; true: it was dealt with, false: keep it. Returns whether any was dealt with.
bool SweepNodes(Graph& graph, absl::FunctionRef<bool(Sweep&, Node&)> rewrite);

}  // namespace bitstage
