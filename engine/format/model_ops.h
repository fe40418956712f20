// Operators and shapes between the engine's structs and META's messages.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/graph/ops.h"
#include "proto/model_file.pb.h"

namespace bitstage {

void WriteShape(const Shape& shape, model::v1::Shape& proto);
// Refuses more than kMaxRank extents and extents below 1, naming `field`.
absl::StatusOr<Shape> ReadShape(const model::v1::Shape& proto, absl::string_view field);

// An index into one of META's lists; refuses what does not fit in int32. Whether the list is that long is Validate's.
absl::StatusOr<int32_t> ReadIndex(uint32_t index, absl::string_view field);

// Fills the `op` of the node.
void WriteOp(const Op& op, model::v1::Node& proto);
absl::StatusOr<Op> ReadOp(const model::v1::Node& proto);

}  // namespace bitstage
