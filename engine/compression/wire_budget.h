// Wire budget: widths of the values at which a model will be cut into stages, under a budget of bytes that one image
// sends, frames' headers included, all boundaries together.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/calibration.h"
#include "engine/compression/grid_assignment.h"
#include "engine/compression/recipe.h"
#include "engine/graph/graph.h"

namespace bitstage {

// `graph` with grids by the recipe, `of_group` and depthwise_steps (AssignGrids), but of the boundaries where Partition
// into `stages` would cut the widths of least noise (measured with that grid alone) whose Huffman-coded frames of
// `images` take `bytes` an image on average. INVALID_ARGUMENT where the narrowest take more, saying how much;
// FAILED_PRECONDITION as Partition.
absl::StatusOr<Graph> AssignGridsForWire(const Graph& graph, const Calibration& calibration, const Tensor& images,
                                         const Recipe& recipe, const GroupRecipes& of_group, bool depthwise_steps,
                                         double bytes, ThreadPool* pool);

}  // namespace bitstage
