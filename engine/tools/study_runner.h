// StudyRunner: labelled images put to variants of one network, each compared with the first, which is the float one.
// Networks that classify are measured by top-1, those whose answer is a map by intersection over union.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/data/dataset.h"
#include "engine/data/metrics.h"
#include "engine/graph/model.h"
#include "engine/tensor/tensor.h"
#include "engine/tools/command.h"
#include "engine/tools/json.h"
#include "engine/tools/map_measure.h"

namespace bitstage {

struct StudyImages {
  Dataset data;
  std::vector<int64_t> indices;

  // The classes, each plus `class_offset`. FAILED_PRECONDITION naming an image that has none.
  [[nodiscard]] absl::StatusOr<std::vector<int>> Labels(int class_offset) const;
};

// The images of flag --`flag` from --`flag`-begin up to before --`flag`-end, at most `limit`.
absl::StatusOr<StudyImages> OpenImages(const Arguments& arguments, const std::string& flag, int64_t limit);

// What one variant's maps are worth.
struct MapScore {
  double iou = 0;
  double agreement = 0;  // share of the pixels that are as in float
  Interval difference;   // of iou − float's
};

// One variant's answers against the float network's.
struct StudyRow {
  std::string name;
  double bits = 32;
  ClassificationCounts counts;
  PairedCounts paired;
  std::optional<MapScore> map;  // of networks whose answer is a map: the counts are empty then
};
// The cells of a row and the columns they are of, with "|" at both ends.
std::string StudyColumns(bool maps);
std::string CellsOf(const StudyRow& row);
Json JsonOf(const StudyRow& row);

class StudyRunner {
 public:
  // All must outlive the runner; `model` has preprocessing, and `measure` lets it pass.
  StudyRunner(const Model& model, const StudyImages& test, int64_t batch, const MapMeasure& measure, ThreadPool* pool)
      : model_(model), test_(test), batch_(batch), measure_(measure), pool_(pool) {}

  // The answers to every test image; `run` gives a batch's feature vectors.
  absl::StatusOr<StudyRow> Evaluate(const std::string& name, double bits,
                                    absl::FunctionRef<absl::StatusOr<Tensor>(const Tensor& images)> run);

 private:
  // A variant's, of all images.
  struct Answers {
    std::vector<int> classes;
    LabelMaps maps;
    std::vector<IouCounts> counts;  // of the maps
  };
  void TakeClasses(std::span<const int> labels, const Tensor& z, ClassificationCounts& counts, Answers& answers) const;
  absl::Status TakeMaps(std::span<const int64_t> indices, const Tensor& z, Answers& answers) const;

  const Model& model_;
  const StudyImages& test_;
  const int64_t batch_;
  const MapMeasure measure_;
  ThreadPool* pool_;
  std::optional<Answers> float_answers_;
};

// The verb's mode --adaptive: whole-number widths of weights by the paper's method, by SQNR and equal ones.
// FAILED_PRECONDITION for networks whose answer is a map.
absl::Status RunWidthStudy(const Model& model, const StudyImages& calibration, const StudyImages& test, int64_t batch,
                           ThreadPool* pool, bool json, Console& console);

}  // namespace bitstage
