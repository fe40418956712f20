// StudyRunner: labelled images put to variants of one network, each compared with the first, which is the float one.
#pragma once

#include <cstdint>
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

namespace bitstage {

struct StudyImages {
  Dataset data;
  std::vector<int64_t> indices;

  // The classes, each plus `class_offset`. FAILED_PRECONDITION naming an image that has none.
  [[nodiscard]] absl::StatusOr<std::vector<int>> Labels(int class_offset) const;
};

// The images of flag --`flag` from --`flag`-begin up to before --`flag`-end, at most `limit`.
absl::StatusOr<StudyImages> OpenImages(const Arguments& arguments, const std::string& flag, int64_t limit);

// One variant's answers against the float network's.
struct StudyRow {
  std::string name;
  double bits = 32;
  ClassificationCounts counts;
  PairedCounts paired;
};
// "| top-1 | agreement | lost / won | difference, 95 % |", of kStudyColumns.
inline constexpr char kStudyColumns[] = "| top-1, % | agreement, % | lost / won | top-1 − float, 95 % |";
std::string CellsOf(const StudyRow& row);
Json JsonOf(const StudyRow& row);

class StudyRunner {
 public:
  // All must outlive the runner; `model` has preprocessing.
  StudyRunner(const Model& model, const StudyImages& test, int64_t batch, ThreadPool* pool)
      : model_(model), test_(test), batch_(batch), pool_(pool) {}

  // The top outputs of every test image; `run` gives a batch's feature vectors.
  absl::StatusOr<StudyRow> Evaluate(const std::string& name, double bits,
                                    absl::FunctionRef<absl::StatusOr<Tensor>(const Tensor& images)> run);

 private:
  const Model& model_;
  const StudyImages& test_;
  const int64_t batch_;
  ThreadPool* pool_;
  std::vector<int> float_answers_;
};

// The verb's mode --adaptive: whole-number widths of weights by the paper's method, by SQNR and equal ones.
absl::Status RunWidthStudy(const Model& model, const StudyImages& calibration, const StudyImages& test, int64_t batch,
                           ThreadPool* pool, bool json, Console& console);

}  // namespace bitstage
