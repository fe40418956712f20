#include "engine/training/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/base/sha256.h"
#include "engine/base/status_macros.h"
#include "engine/base/thread_pool.h"
#include "engine/compression/calibration.h"
#include "engine/compression/compress.h"
#include "engine/graph/content_hash.h"
#include "engine/training/held_back.h"
#include "engine/training/optimizer.h"
#include "engine/training/student.h"

namespace bitstage {
namespace {

constexpr int64_t kInitialImages = 256;  // for grids and moments, or as many as fit in
constexpr int64_t kInitialBytes = int64_t{600} << 20;
constexpr double kLossMemory = 0.01;  // share of the newest batch in the running mean
constexpr double kExplosion = 50;     // times the running mean
constexpr int64_t kSettled = 100;     // steps before the running mean counts for that

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

class Trainer {
 public:
  Trainer(const Model& model, const TrainingSet& set, const TrainingOptions& options, const TrainingRun& run,
          const std::function<void(const TrainingProgress&)>& progress)
      : model_(model),
        set_(set),
        options_(options),
        run_(run),
        progress_(progress),
        optimizer_(options),
        pool_(options.threads) {}

  absl::StatusOr<TrainingResult> Run() {
    at::set_num_threads(options_.threads);
    BITSTAGE_RETURN_IF_ERROR(Prepare());
    if (run_.benchmark_steps > 0) return Benchmark();
    BITSTAGE_ASSIGN_OR_RETURN(result_.start, held_back_.Evaluate(*student_));
    BITSTAGE_RETURN_IF_ERROR(Resume());
    const int64_t steps = options_.steps();
    while (step_ < steps && result_.stopped.empty()) {
      if (run_.stop != nullptr && run_.stop->load()) {
        BITSTAGE_RETURN_IF_ERROR(Save());
        return absl::CancelledError(
            absl::StrCat("stopped after step ", step_, " of ", steps,
                         run_.checkpoint.empty() ? "" : "; the same command goes on from there"));
      }
      BITSTAGE_RETURN_IF_ERROR(Step());
      BITSTAGE_RETURN_IF_ERROR(Report());
    }
    if (result_.stopped.empty()) BITSTAGE_RETURN_IF_ERROR(Save());
    return Finish();
  }

 private:
  absl::Status Prepare() {
    BITSTAGE_ASSIGN_OR_RETURN(graph_, PreparedGraph(model_));
    BITSTAGE_RETURN_IF_ERROR(CheckTrainable(graph_));
    if (options_.loss == LossKind::kLabels && !set_.has_labels()) {
      return absl::InvalidArgumentError("training on labels, but the images have none");
    }
    BITSTAGE_RETURN_IF_ERROR(set_.CheckLabels(graph_.value(FeatureValue(graph_)).shape[0], model_.class_offset));
    constants_ = TeacherConstants(graph_);
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t capacity, CalibrationCapacity(model_, kInitialBytes));
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor images, set_.Calibration(std::min(kInitialImages, capacity), &pool_));
    BITSTAGE_ASSIGN_OR_RETURN(student_, Student::Create(graph_, images, options_, run_.preparation));
    if (!run_.start_from.empty()) {
      BITSTAGE_ASSIGN_OR_RETURN(const Checkpoint start, ReadCheckpoint(run_.start_from));
      BITSTAGE_RETURN_IF_ERROR(LoadStudent(start, run_.start_from));
      student_->SetActivationBits(ActivationBits(options_, 0));
    }
    const std::string trained =
        absl::StrCat(ContentHash(graph_), "\n", set_.Identity(), Fingerprint(options_), run_.start_from);
    identity_ = Sha256Hex(std::as_bytes(std::span(trained))).substr(0, 32);
    return held_back_.Prepare(model_, graph_, constants_, set_, &pool_);
  }

  absl::Status LoadStudent(const Checkpoint& checkpoint, const std::string& path) {
    std::map<std::string, const std::vector<float>*> arrays;
    for (const CheckpointArray& array : checkpoint.arrays) arrays[array.name] = &array.values;
    const absl::Status status = student_->Load(arrays);
    if (!status.ok()) return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
    return absl::OkStatus();
  }

  absl::Status Resume() {
    if (run_.checkpoint.empty() || !std::filesystem::exists(run_.checkpoint)) return absl::OkStatus();
    BITSTAGE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadCheckpoint(run_.checkpoint));
    if (checkpoint.identity != identity_) {
      return absl::FailedPreconditionError(absl::StrCat(run_.checkpoint, ": the checkpoint belongs to another run",
                                                        Difference(checkpoint.options),
                                                        "; name another file, or remove it to begin anew"));
    }
    return Restore(checkpoint);
  }

  // Where the options differ; otherwise it is the network or the data.
  [[nodiscard]] std::string Difference(const std::string& text) const {
    const std::vector<std::string> theirs = absl::StrSplit(text, '\n');
    const std::vector<std::string> ours = absl::StrSplit(Fingerprint(options_), '\n');
    for (size_t i = 0; i < std::min(theirs.size(), ours.size()); ++i) {
      if (theirs[i] != ours[i]) return absl::StrCat(" (its '", theirs[i], "' is '", ours[i], "' here)");
    }
    return " (of another network or other images)";
  }

  absl::Status Restore(const Checkpoint& checkpoint) {
    BITSTAGE_RETURN_IF_ERROR(LoadStudent(checkpoint, run_.checkpoint));
    std::map<std::string, const std::vector<float>*> arrays;
    for (const CheckpointArray& array : checkpoint.arrays) arrays[array.name] = &array.values;
    const size_t count = student_->parameters().size();
    optimizer_.first().assign(count, {});
    optimizer_.second().assign(count, {});
    for (size_t p = 0; p < count; ++p) {
      const Parameter& parameter = student_->parameters()[p];
      for (const auto& [suffix, state] :
           {std::pair{"/first", &optimizer_.first()[p]}, {"/second", &optimizer_.second()[p]}}) {
        const auto found = arrays.find(parameter.name + suffix);
        const bool may_be_empty = checkpoint.step == 0 || options_.optimizer == OptimizerKind::kSgd;
        if (found == arrays.end() || (found->second->size() != static_cast<size_t>(parameter.value.numel()) &&
                                      !(may_be_empty && found->second->empty()))) {
          return absl::InvalidArgumentError(
              absl::StrCat(run_.checkpoint, ": array '", parameter.name, suffix, "' is missing or of another size"));
        }
        *state = *found->second;
      }
    }
    step_ = std::min(checkpoint.step, options_.steps());
    loss_ = checkpoint.loss;
    best_ = checkpoint.best;
    best_step_ = checkpoint.best_step;
    return absl::OkStatus();
  }

  absl::Status Save() {
    if (run_.checkpoint.empty()) return absl::OkStatus();
    Checkpoint checkpoint{.identity = identity_,
                          .step = step_,
                          .loss = loss_,
                          .best = best_,
                          .best_step = best_step_,
                          .options = Fingerprint(options_),
                          .arrays = student_->Save()};
    const std::vector<Parameter>& parameters = student_->parameters();
    optimizer_.first().resize(parameters.size());
    optimizer_.second().resize(parameters.size());
    for (size_t p = 0; p < parameters.size(); ++p) {
      checkpoint.arrays.push_back({parameters[p].name + "/first", optimizer_.first()[p]});
      checkpoint.arrays.push_back({parameters[p].name + "/second", optimizer_.second()[p]});
    }
    return WriteCheckpoint(checkpoint, run_.checkpoint);
  }

  at::Tensor Loss(const at::Tensor& logits, const TrainingBatch& batch, const at::Tensor& images) {
    if (options_.loss == LossKind::kLabels) {
      std::vector<int64_t> targets;
      for (const int label : batch.labels) targets.push_back(label + model_.class_offset);
      return at::cross_entropy_loss(logits, at::tensor(targets, at::kLong));
    }
    // Hinton et al. 2015, arXiv 1503.02531 §2: the divergence at a temperature, times its square.
    const double t = options_.temperature;
    const at::Tensor wanted = at::softmax(TeacherLogits(graph_, constants_, images) / t, 1);
    const at::Tensor found = at::log_softmax(logits / t, 1);
    return (wanted * (wanted.clamp_min(1e-12).log() - found)).sum() * (t * t / static_cast<double>(logits.size(0)));
  }

  absl::Status Step() {
    student_->SetActivationBits(ActivationBits(options_, step_));
    BITSTAGE_ASSIGN_OR_RETURN(const TrainingBatch batch, set_.Batch(step_, &pool_));
    const at::Tensor images = ToTorch(batch.images);
    const NormMode mode = IsFrozen(options_, step_) ? NormMode::kRunning : NormMode::kBatch;
    const at::Tensor loss = Loss(student_->Forward(images, mode), batch, images);
    const double value = loss.item<float>();
    if (!std::isfinite(value) || (step_ > kSettled && value > kExplosion * loss_)) return StopAtLastGood(value);
    loss.backward();
    std::vector<OptimizedArray> arrays;
    for (Parameter& parameter : student_->parameters()) {
      const at::Tensor& gradient = parameter.value.grad();
      OptimizedArray array{.values = {parameter.value.data_ptr<float>(), static_cast<size_t>(parameter.value.numel())},
                           .gradients = {},
                           .rate = parameter.rate,
                           .decays = parameter.decays};
      if (gradient.defined()) array.gradients = {gradient.data_ptr<float>(), array.values.size()};
      arrays.push_back(array);
    }
    optimizer_.Step(step_, arrays);
    for (Parameter& parameter : student_->parameters()) parameter.value.mutable_grad() = at::Tensor();
    student_->Constrain();
    loss_ = step_ == 0 ? value : loss_ + std::max(kLossMemory, 1.0 / static_cast<double>(step_ + 1)) * (value - loss_);
    ++step_;
    return absl::OkStatus();
  }

  absl::Status StopAtLastGood(double value) {
    const std::string what =
        absl::StrCat("the loss was ", value, " at step ", step_, " (", loss_, " on average before)");
    if (run_.checkpoint.empty() || !std::filesystem::exists(run_.checkpoint)) {
      return absl::InternalError(absl::StrCat(what, ", and no checkpoint is kept to go back to"));
    }
    BITSTAGE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, ReadCheckpoint(run_.checkpoint));
    BITSTAGE_RETURN_IF_ERROR(Restore(checkpoint));
    result_.stopped = absl::StrCat(what, ": this is the checkpoint of step ", step_, "; try a lower learning rate");
    return absl::OkStatus();
  }

  absl::Status Report() {
    TrainingProgress report{.step = step_, .steps = options_.steps(), .loss = loss_, .score = std::nullopt};
    if (result_.stopped.empty() && step_ % run_.evaluate_every == 0) {
      BITSTAGE_ASSIGN_OR_RETURN(report.score, held_back_.Evaluate(*student_));
      if (report.score->agreement > best_) {
        best_ = report.score->agreement;
        best_step_ = step_;
      } else if (run_.patience > 0 && step_ - best_step_ >= run_.patience * run_.evaluate_every) {
        result_.stopped = absl::StrCat("no better agreement since step ", best_step_);
        BITSTAGE_RETURN_IF_ERROR(Save());
      }
    }
    if (result_.stopped.empty() && step_ % run_.checkpoint_every == 0) BITSTAGE_RETURN_IF_ERROR(Save());
    if (progress_) progress_(report);
    return absl::OkStatus();
  }

  absl::StatusOr<TrainingResult> Finish() {
    result_.graph = student_->Export();
    BITSTAGE_ASSIGN_OR_RETURN(result_.end, held_back_.Evaluate(*student_));
    BITSTAGE_ASSIGN_OR_RETURN(const ServedCheck check, held_back_.CheckServed(*student_));
    result_.same_top = check.same_top;
    result_.max_logit_difference = check.max_logit_difference;
    result_.steps = step_;
    result_.loss = loss_;
    return std::move(result_);
  }

  absl::StatusOr<TrainingResult> Benchmark() {
    constexpr int64_t kWarmUp = 5;
    double start = 0;
    for (int64_t i = 0; i < kWarmUp + run_.benchmark_steps; ++i) {
      if (i == kWarmUp) start = CpuSeconds();
      BITSTAGE_RETURN_IF_ERROR(Step());
    }
    result_.cpu_seconds_per_image = (CpuSeconds() - start) / static_cast<double>(run_.benchmark_steps * options_.batch);
    result_.steps = step_;
    result_.loss = loss_;
    return std::move(result_);
  }

  const Model& model_;
  const TrainingSet& set_;
  const TrainingOptions options_;
  const TrainingRun& run_;
  const std::function<void(const TrainingProgress&)>& progress_;
  Optimizer optimizer_;
  ThreadPool pool_;
  Graph graph_;
  std::vector<at::Tensor> constants_;
  std::unique_ptr<Student> student_;
  std::string identity_;
  HeldBack held_back_;
  int64_t step_ = 0;
  double loss_ = 0;
  double best_ = 0;
  int64_t best_step_ = 0;
  TrainingResult result_;
};

}  // namespace

absl::StatusOr<TrainingResult> Train(const Model& model, const TrainingSet& set, const TrainingOptions& options,
                                     const TrainingRun& run,
                                     const std::function<void(const TrainingProgress&)>& progress) {
  // libtorch reports its own errors (memory) by exceptions.
  try {
    return Trainer(model, set, options, run, progress).Run();
  } catch (const c10::Error& error) {
    return absl::InternalError(absl::StrCat("libtorch: ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("libtorch: ", error.what()));
  }
}

}  // namespace bitstage
