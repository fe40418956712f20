// Boundary statistics: with which tables and in which coding a boundary value's codes cross to the next stage.
#pragma once

#include <map>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/model.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// Tables of the cells of `batch` images' codes (on the grid, in code layout; image_shape: of one), every cell counted
// once more, so that each has a code, and the coding for the link (coding_choice.h). Tables for contexts are made only
// for links that may choose them.
BoundaryTables MakeBoundaryTables(const Grid& grid, const Shape& image_shape, int64_t batch,
                                  std::span<const uint8_t> codes, double link_mbps);

// For every value at which a quantized graph can be cut into stages: what `images` give.
absl::StatusOr<std::map<std::string, BoundaryTables>> MeasureBoundaryTables(const Graph& graph, const Tensor& images,
                                                                            double link_mbps, ThreadPool* pool);

}  // namespace bitstage
