// Precision: how many bits every weighted layer gets, by the recipe.
//
// Adaptive (arXiv 1712.01048): the noise that a layer's rounding adds to the feature vector is measured
// with that layer alone quantized, and bits are allotted so that the sum over layers stays within the budget at the
// least size. What counts as size is what the file takes, where codes are entropy-coded: the options are rates, not
// widths (engine/quant/rate_rounding.h). Where the paper extrapolates e^{−αb} from 8 bits, three rates are measured
// here and the others follow the lines through their logarithms; where it rounds a closed form, the allocation is of
// whole options (engine/quant/allocation.h). A menu may hold fixed codes beside, SYQ's or uniform ones, each measured.
// t_i is taken as equal for all layers (it hardly matters).
#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/calibration.h"
#include "engine/compression/lowering.h"
#include "engine/compression/recipe.h"
#include "engine/graph/graph.h"

namespace bitstage {

// One way to code a layer, what it takes and what it does.
struct CodingOption {
  LayerPrecision precision;
  double bits = 0;   // of the whole layer at rest: codes, tables and scales
  double noise = 0;  // mean ‖r_z‖² / mean ‖r*‖²
};
struct LayerMenu {
  int64_t weights = 0;
  std::vector<CodingOption> options;
};

// mean ‖r*‖² of the calibration images.
double DecisionMargin(const Calibration& calibration);

// One menu a weighted node, of the entries of `menu` (Recipe::menu; rates give an option for every quarter bit).
// `graph` as for MeasureSensitivities.
absl::StatusOr<std::vector<LayerMenu>> MeasureMenus(const Graph& graph, const Calibration& calibration,
                                                    const Tensor& images, const std::vector<WeightRecipe>& menu,
                                                    bool second_order_rounding, ThreadPool* pool,
                                                    const std::function<void(int64_t, int64_t)>& progress);

// The summed noise of every layer's quietest option.
double LeastNoise(const std::vector<LayerMenu>& menus);
// The summed bits of every layer's smallest.
double LeastBits(const std::vector<LayerMenu>& menus);

// The least bits whose summed noise is at most `noise`. INVALID_ARGUMENT where even the quietest options are louder,
// saying how loud.
absl::StatusOr<std::vector<LayerPrecision>> AllocateForNoise(const std::vector<LayerMenu>& menus, double noise);

// The least noise with weights and scales in at most `bits` (of storage, not a mean).
// INVALID_ARGUMENT where even the smallest options take more, saying how much that is.
absl::StatusOr<std::vector<LayerPrecision>> AllocateForSize(const std::vector<LayerMenu>& menus, double bits);

// Without a budget: little noise in few bits, by the trade-off that precision.cc states.
absl::StatusOr<std::vector<LayerPrecision>> AllocateByDefault(const std::vector<LayerMenu>& menus);

// Uniform and SYQ recipes: the same codes everywhere, but 8 bits in the first and the last layer of SYQ networks, as in
// the paper, which keeps them in float. WeightRecipe::only_inner: in these and in depthwise layers.
std::vector<LayerPrecision> FixedPrecision(const Graph& graph, const WeightRecipe& recipe);

}  // namespace bitstage
