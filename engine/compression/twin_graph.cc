#include "engine/compression/twin_graph.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace bitstage {

TwinGraph MakeTwinGraph(const Graph& graph) {
  TwinGraph twin{graph.Clone(), static_cast<ValueId>(graph.values.size())};
  Graph& both = twin.graph;
  for (const Value& value : graph.values) {
    Value copy = value;
    copy.name = absl::StrCat(value.name, "/float");
    copy.grid.reset();
    both.AddValue(std::move(copy));
  }
  both.inputs.clear();
  for (const ValueId input : graph.inputs) both.inputs.push_back(twin.first_twin + input);
  both.inputs.insert(both.inputs.end(), graph.inputs.begin(), graph.inputs.end());

  both.nodes.clear();
  for (const Node& node : graph.nodes) {
    Node copy = node;
    copy.name = absl::StrCat(node.name, "/float");
    copy.output += twin.first_twin;
    for (ValueId& input : copy.inputs) input += twin.first_twin;
    const auto own = [&](ConstantId& id) {
      if (id != kNoConstant) id = both.AddConstant(graph.constant(id).Clone());
    };
    std::visit(
        [&](auto& op) {
          if constexpr (requires { op.weights; }) own(op.weights);
          if constexpr (requires { op.bias; }) own(op.bias);
        },
        copy.op);
    both.nodes.push_back(std::move(copy));
    both.nodes.push_back(node);
  }
  return twin;
}

}  // namespace bitstage
