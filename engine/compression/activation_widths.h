// Activation widths: a grid for every group of values that must share one, under a budget of mean bits (the recipe
// "adaptive:BITS").
//
// As for weights (precision.h): the noise that a group's rounding adds to the feature vector is measured with that
// group alone rounded, noises are taken to add up, and the least of it within the budget is found on the convex hull
// (engine/quant/allocation.h). A group chooses among uniform grids and DQA's with one bit more for the important
// channels, ranked fast (arXiv 2412.09687). What counts are the bits of the elements that nodes compute; elements that
// are only moved (pooled, concatenated) and groups that have 8 bits whatever the recipe says (AssignGrids) do not.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/calibration.h"
#include "engine/compression/grid_assignment.h"
#include "engine/compression/recipe.h"
#include "engine/graph/graph.h"

namespace bitstage {

// What a group may choose, rising in bits: {2, 2 + 1, 3, 3 + 1, … recipe.code_bits}.
std::vector<ActivationRecipe> WidthMenu(const ActivationRecipe& recipe);

// Bits that one image's values of `group` take on their grids, what is moved not counted.
double BitsOfGroup(const Graph& with_grids, const GridGroups& groups, int group);

// An entry for every group with a choice. `graph`: as calibrated, float; recipe: adaptive; depthwise_steps: as for
// AssignGrids. INVALID_ARGUMENT where the narrowest grids take more than recipe.mean_bits, saying how much.
absl::StatusOr<GroupRecipes> AllotWidths(const Graph& graph, const Calibration& calibration, const Tensor& images,
                                         const ActivationRecipe& recipe, bool depthwise_steps, ThreadPool* pool,
                                         const std::function<void(int64_t, int64_t)>& progress);

}  // namespace bitstage
