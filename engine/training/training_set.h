// TrainingSet: batches of augmented images from several data sets, and the images held back from them.
//
// Batch k is a function of the seed and k alone: a run that is resumed sees what it would have seen.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/data/dataset.h"
#include "engine/tensor/preprocessing.h"
#include "engine/tensor/tensor.h"
#include "engine/training/options.h"

namespace bitstage {

struct TrainingBatch {
  Tensor images;            // FP32 [n] + C x H x W, preprocessed and augmented
  std::vector<int> labels;  // -1 where an image has none
};

class TrainingSet {
 public:
  // At least one data set. INVALID_ARGUMENT where the first has too few images to hold `options.held_back` back.
  static absl::StatusOr<TrainingSet> Create(std::vector<std::shared_ptr<const Dataset>> sources,
                                            const Preprocessing& preprocessing, const TrainingOptions& options);

  // Each source gives an equal share of a batch, whatever its size. Moved by up to `shift` pixels, black outside, and
  // flipped left to right with even odds; with `mix`, then mixed with another of the batch (labels stay the first's).
  // An image that cannot be read is an error naming it.
  [[nodiscard]] absl::StatusOr<TrainingBatch> Batch(int64_t step, ThreadPool* pool) const;

  // Images as they are, for calibration: from the first source's training images.
  [[nodiscard]] absl::StatusOr<Tensor> Calibration(int64_t count, ThreadPool* pool) const;

  [[nodiscard]] int64_t held_back() const { return static_cast<int64_t>(held_back_.size()); }
  // Held-back images [begin, begin + count), not augmented.
  [[nodiscard]] absl::StatusOr<TrainingBatch> HeldBack(int64_t begin, int64_t count, ThreadPool* pool) const;

  [[nodiscard]] bool has_labels() const;
  // INVALID_ARGUMENT naming the first image whose label, `offset` added, is no output of `outputs`.
  [[nodiscard]] absl::Status CheckLabels(int64_t outputs, int offset) const;
  // Size of each source and labels seen: what identifies the data.
  [[nodiscard]] std::string Identity() const;

 private:
  TrainingSet() = default;
  std::vector<std::shared_ptr<const Dataset>> sources_;
  std::vector<std::vector<int64_t>> pools_;  // of each source, the images to train on
  std::vector<int64_t> held_back_;           // of the first source
  Preprocessing preprocessing_;
  std::vector<float> black_;  // of each channel, after preprocessing
  TrainingOptions options_;
};

}  // namespace bitstage
