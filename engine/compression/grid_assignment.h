// Grid assignment: which values of an optimized float graph become u8 codes, and on which grid.
//
// A value is coded where a weighted layer (Conv, ConvTranspose, FullyConnected) lies downstream of it. Values that only
// move codes (max pooling, concatenation, slices, padding, reshapes, transposes, nearest resizing) take the grid of
// what they move, so that the engine copies bytes; values that meet in a concatenation share step and zero point.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "engine/compression/calibration.h"
#include "engine/compression/recipe.h"
#include "engine/graph/graph.h"

namespace bitstage {

// Values that must share a width, as AssignGrids sees them, before it has changed `graph`.
struct GridGroups {
  std::vector<int> of_value;   // by ValueId
  std::vector<bool> computed;  // by ValueId: coded, and not moved from other values
  std::vector<bool> fixed;     // by group: 8 bits by the rule below
};
GridGroups GroupValues(const Graph& graph);

using GroupRecipes = std::map<int, ActivationRecipe>;  // by group

// Sets Value::grid on every coded value. Network inputs, and what feeds the last weighted layer, have 8 bits whatever
// the recipe says: they are few and the decision hangs on them. A coded value that is also a graph output gets an
// identity node in front of the output, which stays float.
// of_group: what groups get whatever else was said. An adaptive `recipe` gives 8 bits to those that are not in it.
// depthwise_steps: weights will have a scale for every output channel. Then grids of values without negative ones that
// only depthwise convolutions multiply have a step a channel (but the paper's): it goes into that scale and costs
// nothing.
absl::Status AssignGrids(Graph& graph, const Calibration& calibration, const ActivationRecipe& recipe,
                         const GroupRecipes& of_group = {}, bool depthwise_steps = false);

// The grid that `node`'s output has when its inputs are moved unchanged; nullopt where it does not move codes or the
// inputs' grids cannot be kept (different steps in a concatenation, channels that lose their axis).
std::optional<Grid> MovedGrid(const Graph& graph, const Node& node);

}  // namespace bitstage
