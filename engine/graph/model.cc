#include "engine/graph/model.h"

#include <algorithm>

namespace bitstage {

Model Model::Clone() const {
  Model copy;
  copy.name = name;
  copy.graph = graph.Clone();
  copy.preprocessing = preprocessing;
  copy.labels = labels;
  copy.class_offset = class_offset;
  copy.provenance = provenance;
  copy.stage = stage;
  copy.boundary_tables = boundary_tables;
  return copy;
}

bool Model::IsQuantized() const {
  const bool has_grid =
      std::any_of(graph.values.begin(), graph.values.end(), [](const Value& value) { return value.grid.has_value(); });
  return has_grid && std::all_of(graph.nodes.begin(), graph.nodes.end(), [this](const Node& node) {
           const ConstantId weights = WeightsOf(node.op);
           return weights == kNoConstant || graph.constant(weights).codes.has_value();
         });
}

}  // namespace bitstage
