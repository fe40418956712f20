// Latency: widths of weights and activations under a budget of time ("2 ms": one image, one thread, this CPU).
//
// What a layer takes depends on the codes that its kernel meets: narrow ones allow exact Winograd forms and packed
// weights. So each weighted layer chooses codes of weights from a menu, and each group of activations that must share a
// grid one width for all the layers that read it. Time is predicted by the kernels' own cost models, calibrated layer
// by layer on a timed trial; the choice is the one of least measured noise within the budget, exact on the convex hull
// (engine/quant/allocation.h): given a group's width, the layers that read it are free, and their curve is the group's.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/calibration.h"
#include "engine/compression/lowering.h"
#include "engine/compression/recipe.h"
#include "engine/graph/model.h"

namespace bitstage {

struct StepTimes {
  std::vector<double> node_ms;  // by index into Graph::nodes; their sum may lack what belongs to no node
  double total_ms = 0;
};

// What knows the engine, which this room does not.
class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  // The cycles that the kernels promise, by index into Graph::nodes; 0 for nodes without weights.
  virtual absl::StatusOr<std::vector<double>> Promise(const Model& model) = 0;
  // The least time that one image took on one thread.
  virtual absl::StatusOr<StepTimes> Time(const Model& model) = 0;
};

struct LatencyPlan {
  Graph graph;                            // with grids
  std::vector<LayerPrecision> precision;  // one a weighted node
  double predicted_ms = 0;
};

// `graph`: as calibrated, float. menu: as Recipe::menu, without rates. INVALID_ARGUMENT where the fastest choice takes
// longer than `ms`, saying how long.
absl::StatusOr<LatencyPlan> PlanForLatency(const Graph& graph, const Calibration& calibration, const Tensor& images,
                                           double ms, const std::vector<WeightRecipe>& menu, bool second_order_rounding,
                                           Stopwatch& stopwatch, ThreadPool* pool,
                                           const std::function<void(int64_t, int64_t)>& progress);

}  // namespace bitstage
