// FloatExecutor: runs any graph in float32, for imports, calibration and comparison. Not for serving.
//
//   FloatExecutor executor(graph, &pool);
//   ASSIGN_OR_RETURN(std::vector<Tensor> outputs, executor.Run({{images.View()}}));
//
// Values are [batch] + per-image shape, ONNX layout. Constants with WeightCodes are dequantized. Values that carry a
// grid are, when `snap_to_grids` is set, rounded to it as the integer engine would round them (a simulation in float:
// equal up to float rounding before the rounding to a code). Same bits for every thread count, batch and tier (sgemm's
// contract). Thread-safe: Run keeps no state. The graph must outlive the executor.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/graph.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

class FloatExecutor {
 public:
  // Called with every value as soon as it is computed (inputs first), in node order, on the calling thread. The
  // observer may change it: what follows sees the change. It stays where it is until all nodes that read it have run.
  using Observer = std::function<void(ValueId id, Tensor& value)>;

  // pool may be null.
  FloatExecutor(const Graph& graph, ThreadPool* pool, bool snap_to_grids = false)
      : graph_(graph), pool_(pool), snap_to_grids_(snap_to_grids) {}

  // Outputs in graph order. INVALID_ARGUMENT for inputs of another number, type or shape.
  absl::StatusOr<std::vector<Tensor>> Run(std::span<const TensorView> inputs, const Observer& observer = {}) const;

 private:
  const Graph& graph_;
  ThreadPool* pool_;
  bool snap_to_grids_;
};

}  // namespace bitstage
