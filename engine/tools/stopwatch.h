// How long a model takes on this CPU.
#pragma once

#include "engine/compression/latency.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// Floats that spread over the input's grid, the same every time: what is timed on. Requires a grid.
Tensor SpreadInput(const Value& value, int64_t batch);

// One image on the calling thread, the least of many runs: others on the machine only ever add time.
class EngineStopwatch final : public Stopwatch {
 public:
  absl::StatusOr<std::vector<double>> Promise(const Model& model) override;
  absl::StatusOr<StepTimes> Time(const Model& model) override;
};

}  // namespace bitstage
