// Compress: a float Model in, a low-bit Model out. What `bitstage-model quantize` does between reading and writing
// files.
//
//   optimize (engine/graph/passes) → calibrate → precision of every layer → grids → lowering → entropy tables
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/latency.h"
#include "engine/compression/recipe.h"
#include "engine/graph/model.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// progress(phase, done, total); phases follow one another and each counts from 1 to total.
using CompressionProgress = std::function<void(const std::string& phase, int64_t done, int64_t total)>;

// `images`: preprocessed calibration inputs, [n] + the network's input shape, n >= 1. Thread count and ISA change
// nothing in the result. FAILED_PRECONDITION for a model that is quantized already or has no weighted layer,
// INVALID_ARGUMENT for a budget that cannot be met (saying what the least is).
// stopwatch: for budgets of time, FAILED_PRECONDITION without.
absl::StatusOr<Model> Compress(const Model& model, const Tensor& images, const Recipe& recipe, ThreadPool* pool,
                               const CompressionProgress& progress, Stopwatch* stopwatch = nullptr);

// The float graph that Compress starts from, for whoever quantizes in another way: optimized, quantization points of
// the source dropped, every weighted node with weights and a bias of its own. Refuses what Compress refuses.
absl::StatusOr<Graph> PreparedGraph(const Model& model);

// How many images of `model` can be calibrated at once within about `bytes` of activations; at least 1.
absl::StatusOr<int64_t> CalibrationCapacity(const Model& model, int64_t bytes);

}  // namespace bitstage
