// What shape inference and validation share: the limits on shapes from outside, and the words that name a node.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/graph/graph.h"

namespace bitstage {

// The most elements that one value or constant may have.
inline constexpr int64_t kMaxElements = (int64_t{1} << 31) - 1;

// INVALID_ARGUMENT unless rank <= kMaxRank, every extent >= 1 and the elements do not exceed kMaxElements.
absl::Status CheckShape(const Shape& shape);

// InferShape, with messages that leave out the node.
absl::StatusOr<Shape> InferNodeShape(const Graph& graph, const Node& node);

// `status` with "node 'name' (Op): " in front of its message; OK stays OK.
absl::Status InNode(const Node& node, const absl::Status& status);

}  // namespace bitstage
