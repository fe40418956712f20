// Grid assignment: which values of an optimized float graph become u8 codes, and on which grid.
//
// A value is coded where a weighted layer (Conv, ConvTranspose, FullyConnected) lies downstream of it. Values that only
// move codes (max pooling, concatenation, slices, padding, reshapes, transposes, nearest resizing) take the grid of
// what they move, so that the engine copies bytes; values that meet in a concatenation share step and zero point.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "engine/compression/calibration.h"
#include "engine/compression/recipe.h"
#include "engine/graph/graph.h"

namespace bitstage {

// Sets Value::grid on every coded value. Network inputs, and what feeds the last weighted layer, have 8 bits whatever
// the recipe says: they are few and the decision hangs on them. A coded value that is also a graph output gets an
// identity node in front of the output, which stays float.
// group_bits: by GridGroups, uniform grids of so many bits whatever else was said; 0, or no entries: none.
// depthwise_steps: weights will have a scale for every output channel. Then uniform grids of values without negative
// ones that only depthwise convolutions multiply have a step a channel: it goes into that scale and costs nothing.
absl::Status AssignGrids(Graph& graph, const Calibration& calibration, const ActivationRecipe& recipe,
                         const std::vector<int>& group_bits = {}, bool depthwise_steps = false);

// Values that must share a width, as AssignGrids sees them, before it has changed `graph`.
struct GridGroups {
  std::vector<int> of_value;  // by ValueId
  std::vector<bool> fixed;    // by group: 8 bits by the rule above
};
GridGroups GroupValues(const Graph& graph);

// The grid that `node`'s output has when its inputs are moved unchanged; nullopt where it does not move codes or the
// inputs' grids cannot be kept (different steps in a concatenation, channels that lose their axis).
std::optional<Grid> MovedGrid(const Graph& graph, const Node& node);

}  // namespace bitstage
