// Answers that are maps, of networks that segment: read from their outputs and held against the label maps of a data
// set. Used by evaluate and study.
//
//   BITSTAGE_ASSIGN_OR_RETURN(const MapMeasure measure, MapMeasure::FromArguments(arguments));   // --class-map
//   BITSTAGE_RETURN_IF_ERROR(measure.CheckModel(model));
//   BITSTAGE_ASSIGN_OR_RETURN(const LabelMaps truth, measure.Truth(data, indices, preprocessing, &pool));
//   BITSTAGE_RETURN_IF_ERROR(CountMaps(truth, measure.Answers(outputs), images));
//   measure.Iou(Sum(images))
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/flags.h"
#include "engine/base/thread_pool.h"
#include "engine/data/dataset.h"
#include "engine/data/segmentation_metrics.h"
#include "engine/graph/model.h"
#include "engine/tensor/preprocessing.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// A label a pixel, image by image.
using LabelMaps = std::vector<std::vector<uint8_t>>;

// Whether the network's answer is a map: its first output has more than one axis an image.
bool AnswersMaps(const Model& model);

class MapMeasure {
 public:
  MapMeasure() = default;  // the mean over the classes of the truth
  // The flag for a verb's list.
  static Flag ClassMapFlag();
  // UsageError for a --class-map that is not two class numbers, the second above 0.
  static absl::StatusOr<MapMeasure> FromArguments(const Arguments& arguments);

  // INVALID_ARGUMENT for a network whose maps cannot be read (FP32 scores C x H x W of at most 255 classes, or INT64
  // class numbers) or have no class that --class-map names, and for one that classifies images where there is a
  // --class-map.
  [[nodiscard]] absl::Status CheckModel(const Model& model) const;

  // The label maps of images, in the geometry of the network's input.
  [[nodiscard]] absl::StatusOr<LabelMaps> Truth(const Dataset& data, std::span<const int64_t> indices,
                                                const Preprocessing& preprocessing, ThreadPool* pool) const;
  // Those of a batch of outputs, or of the scores behind them, of a network that CheckModel let pass.
  [[nodiscard]] LabelMaps Answers(const Tensor& outputs) const;

  // Of the class that --class-map names, or the mean over the classes of the truth.
  [[nodiscard]] double Iou(const IouCounts& counts) const;
  // INVALID_ARGUMENT where no pixel of the truth has the class that --class-map names: there is nothing to measure.
  [[nodiscard]] absl::Status CheckCounts(const IouCounts& counts) const;

 private:
  // "1:15": the network's class 1 is the truth's class 15, all else is background.
  struct ClassMap {
    uint8_t predicted = 0;
    uint8_t label = 0;
  };
  explicit MapMeasure(std::optional<ClassMap> class_map) : class_map_(class_map) {}

  std::optional<ClassMap> class_map_;
};

// Appends the counts of every image. INVALID_ARGUMENT where maps differ in size.
absl::Status CountMaps(const LabelMaps& truth, const LabelMaps& answers, std::vector<IouCounts>& images);

}  // namespace bitstage
