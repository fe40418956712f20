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

// Contexts cost more time than they save on faster links.
inline constexpr double kMaxLinkForContexts = 1000;  // Mbit/s

// The coding with the least time in the codec and on the link together: bits an element over the link's speed, plus
// what an element costs to encode and decode (docs/benchmarks.md). bits: 0 for a coding that there is not.
struct CodingBits {
  double stored = 0;
  double plain = 0;
  double contexts = 0;
};
FrameCoding ChooseCoding(const CodingBits& bits, double link_mbps);

// Tables of the cells of `batch` images' codes (on the grid, in code layout; image_shape: of one), every cell counted
// once more, so that each has a code, and the coding for the link. Tables for contexts are made only for links that may
// choose them.
BoundaryTables MakeBoundaryTables(const Grid& grid, const Shape& image_shape, int64_t batch,
                                  std::span<const uint8_t> codes, double link_mbps);

// For every value at which a quantized graph can be cut into stages: what `images` give.
absl::StatusOr<std::map<std::string, BoundaryTables>> MeasureBoundaryTables(const Graph& graph, const Tensor& images,
                                                                            double link_mbps, ThreadPool* pool);

}  // namespace bitstage
