// Partition: cuts a quantized model into pipeline stages that run in separate processes.
//
// A cut lies at a value that carries a grid (what crosses a process is its codes) and is the only thing that the nodes
// behind the cut need from those before it: nothing else is sent, nothing is computed twice.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "engine/graph/model.h"

namespace bitstage {

inline constexpr int kMaxStages = 64;

// The values at which `graph` may be cut, in execution order. Requires a validated graph.
std::vector<ValueId> CutCandidates(const Graph& graph);

// `stages` models, in order. The cuts make the stage with the most multiply-accumulates as small as possible and, among
// equals, send the fewest bits. A stage's graph input (but the first's) and output (but the last's) is the boundary
// value, under its name and with its grid; preprocessing stays with the first stage, labels and class offset with the
// last, the entropy tables of a boundary with both its sides. Every stage keeps the model's name and carries a
// StageInfo; its pipeline_id is a hash of the model's graph and of the cuts.
// INVALID_ARGUMENT for stages outside 1 … kMaxStages; FAILED_PRECONDITION, saying how many cuts there are, where they
// do not suffice, and for a model that is a stage already.
absl::StatusOr<std::vector<Model>> Partition(const Model& model, int stages);

}  // namespace bitstage
