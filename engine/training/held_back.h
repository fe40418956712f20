// The images that are held back from training: what a network in training is worth, by the integer engine that will
// serve it, and whether what was trained is what is served.
//
// Not thread-safe.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/model.h"
#include "engine/runtime/executable.h"
#include "engine/training/held_back_score.h"
#include "engine/training/student.h"
#include "engine/training/training_set.h"

namespace bitstage {

// The trainer's own forward pass against the integer engine on the exported graph.
struct ServedCheck {
  double same_top = 1;  // share of images
  double max_logit_difference = 0;
};

// Images as libtorch takes them: planes of rank 4 with the channels last.
at::Tensor ToTorch(const Tensor& tensor);

class HeldBack {
 public:
  // `model` and `set` outlive this, as does `pool`; `graph` and `constants` (TeacherConstants) are the float network.
  absl::Status Prepare(const Model& model, const Graph& graph, const std::vector<at::Tensor>& constants,
                       const TrainingSet& set, ThreadPool* pool);

  absl::StatusOr<HeldBackScore> Evaluate(Student& student);
  // INTERNAL: engine and student disagree on more than one image in a thousand.
  absl::StatusOr<ServedCheck> CheckServed(Student& student);

 private:
  absl::StatusOr<std::shared_ptr<const Executable>> Compile(Graph graph) const;
  template <typename Visit>
  absl::Status ForEachBatch(const std::shared_ptr<const Executable>& executable, Visit visit);

  const Model* model_ = nullptr;
  ThreadPool* pool_ = nullptr;
  bool ends_in_logits_ = true;
  bool has_labels_ = false;
  std::vector<TrainingBatch> batches_;
  std::vector<int> teacher_top_;
};

}  // namespace bitstage
