// Calibration: what images tell of a float network before it is quantized.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/graph.h"
#include "engine/quant/histogram.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// What was seen of one float value, by channel (axis 0; the elements of a rank-1 value are its channels).
struct ValueStatistics {
  std::vector<Histogram> channels;
};

struct Calibration {
  std::vector<std::vector<double>> patch_means;  // by index into Graph::nodes (PatchMeans); empty where there are none
  std::vector<ValueStatistics> values;           // by ValueId; empty for values that are not float
  Tensor features;                               // the last feature vectors z, [images] + per-image shape
};

// The value that the decision is read from: the input of a closing Softmax or ArgMax, else the first graph output.
ValueId FeatureValue(const Graph& graph);

// Runs `graph` on `images` ([n] + the first input's shape). progress(done, total) counts nodes.
absl::StatusOr<Calibration> Calibrate(const Graph& graph, const Tensor& images, ThreadPool* pool,
                                      const std::function<void(int64_t, int64_t)>& progress);

}  // namespace bitstage
