// Batches: images of a data set as the network's input.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/data/dataset.h"
#include "engine/tensor/preprocessing.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// The images of `indices`, decoded and preprocessed: FP32, [indices.size()] + C x H x W. The same for every pool, which
// may be null. The error of the first image that fails, naming it; OUT_OF_RANGE for an index that is none.
absl::StatusOr<Tensor> LoadBatch(const Dataset& dataset, std::span<const int64_t> indices,
                                 const Preprocessing& preprocessing, ThreadPool* pool = nullptr);

// Their label maps in the same geometry: UINT8, [indices.size()] + H x W, kIgnoreLabel where padded.
absl::StatusOr<Tensor> LoadLabelMapBatch(const Dataset& dataset, std::span<const int64_t> indices,
                                         const Preprocessing& preprocessing, ThreadPool* pool = nullptr);

}  // namespace bitstage
