#include "engine/training/held_back.h"

#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/compression/calibration.h"
#include "engine/data/metrics.h"

namespace bitstage {
namespace {

constexpr int64_t kBatch = 50;
constexpr double kLeastSameTop = 0.999;

std::span<const float> Row(const at::Tensor& logits, int64_t row) {
  const auto classes = static_cast<size_t>(logits.size(1));
  return {logits.data_ptr<float>() + row * logits.size(1), classes};
}

}  // namespace

at::Tensor ToTorch(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  const at::Tensor view = at::from_blob(const_cast<std::byte*>(tensor.data()),
                                        std::vector<int64_t>(shape.begin(), shape.end()), at::kFloat);
  return shape.rank() == 4 ? view.contiguous(at::MemoryFormat::ChannelsLast).clone() : view.clone();
}

absl::Status HeldBack::Prepare(const Model& model, const Graph& graph, const std::vector<at::Tensor>& constants,
                               const TrainingSet& set, ThreadPool* pool) {
  model_ = &model;
  pool_ = pool;
  ends_in_logits_ = FeatureValue(graph) == graph.outputs[0];
  has_labels_ = set.has_labels();
  for (int64_t begin = 0; begin < set.held_back(); begin += kBatch) {
    BITSTAGE_ASSIGN_OR_RETURN(TrainingBatch batch, set.HeldBack(begin, kBatch, pool));
    const at::Tensor logits = TeacherLogits(graph, constants, ToTorch(batch.images)).contiguous();
    for (int64_t row = 0; row < logits.size(0); ++row) teacher_top_.push_back(TopOutput(Row(logits, row)));
    batches_.push_back(std::move(batch));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Executable>> HeldBack::Compile(Graph graph) const {
  Model served = model_->Clone();
  served.graph = std::move(graph);
  BITSTAGE_RETURN_IF_ERROR(Validate(served.graph));
  return Executable::Compile(std::make_shared<const Model>(std::move(served)), {});
}

// visit(batch, the engine's logits of the batch, row of its first image)
template <typename Visit>
absl::Status HeldBack::ForEachBatch(const std::shared_ptr<const Executable>& executable, Visit visit) {
  Session session(executable, kBatch, pool_);
  size_t row = 0;
  for (const TrainingBatch& batch : batches_) {
    const std::vector<TensorView> inputs = {batch.images.View()};
    BITSTAGE_RETURN_IF_ERROR(session.Run(batch.images.shape()[0], inputs, Cancellation::None()));
    const TensorView output = session.Output(0);
    const at::Tensor features = at::from_blob(
        const_cast<void*>(output.data), std::vector<int64_t>(output.shape.begin(), output.shape.end()), at::kFloat);
    const at::Tensor logits = AsLogits(features).contiguous();
    visit(batch, logits, row);
    row += static_cast<size_t>(logits.size(0));
  }
  return absl::OkStatus();
}

absl::StatusOr<HeldBackScore> HeldBack::Evaluate(Student& student) {
  HeldBackScore score;
  if (batches_.empty()) return score;
  BITSTAGE_ASSIGN_OR_RETURN(const auto executable, Compile(student.Export()));
  int64_t right = 0;
  int64_t agreed = 0;
  BITSTAGE_RETURN_IF_ERROR(
      ForEachBatch(executable, [&](const TrainingBatch& batch, const at::Tensor& logits, size_t first) {
        for (int64_t row = 0; row < logits.size(0); ++row) {
          const int top = TopOutput(Row(logits, row));
          agreed += top == teacher_top_[first + static_cast<size_t>(row)];
          if (logits.size(0) == batch.images.shape()[0]) {
            right += top == batch.labels[static_cast<size_t>(row)] + model_->class_offset;
          }
        }
      }));
  const auto count = static_cast<double>(teacher_top_.size());
  score.agreement = static_cast<double>(agreed) / count;
  if (has_labels_) score.accuracy = static_cast<double>(right) / count;
  return score;
}

absl::StatusOr<ServedCheck> HeldBack::CheckServed(Student& student) {
  ServedCheck check;
  if (teacher_top_.empty()) return check;
  const torch::autograd::AutoGradMode no_gradients(false);
  BITSTAGE_ASSIGN_OR_RETURN(const auto executable, Compile(student.Export()));
  int64_t same = 0;
  BITSTAGE_RETURN_IF_ERROR(ForEachBatch(executable, [&](const TrainingBatch& batch, const at::Tensor& logits, size_t) {
    at::Tensor own = student.Forward(ToTorch(batch.images), NormMode::kRunning).contiguous();
    if (!ends_in_logits_) own = at::softmax(own, 1);
    for (int64_t row = 0; row < logits.size(0); ++row) same += TopOutput(Row(own, row)) == TopOutput(Row(logits, row));
    check.max_logit_difference = std::max(check.max_logit_difference, (own - logits).abs().max().item<double>());
  }));
  check.same_top = static_cast<double>(same) / static_cast<double>(teacher_top_.size());
  if (check.same_top >= kLeastSameTop) return check;
  return absl::InternalError(absl::StrCat("the engine decides only ", 100 * check.same_top,
                                          " % of the held-back images as the trained network did"));
}

}  // namespace bitstage
