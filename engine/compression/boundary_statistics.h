// Boundary statistics: the static Huffman tables with which a boundary value's codes cross to the next stage.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/model.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// For every value at which a quantized graph can be cut into stages: tables of the symbols that `images` give, every
// symbol counted once more, so that each has a code.
absl::StatusOr<std::map<std::string, BoundaryTables>> MeasureBoundaryTables(const Graph& graph, const Tensor& images,
                                                                            ThreadPool* pool);

}  // namespace bitstage
