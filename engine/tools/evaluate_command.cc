// bitstage-model evaluate: how good a model is on labelled images, and how well it agrees with another.
#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/progress.h"
#include "engine/base/status_macros.h"
#include "engine/base/thread_pool.h"
#include "engine/data/batch.h"
#include "engine/data/dataset.h"
#include "engine/data/metrics.h"
#include "engine/data/segmentation_metrics.h"
#include "engine/data/selection.h"
#include "engine/tools/command.h"
#include "engine/tools/json.h"
#include "engine/tools/load_model.h"
#include "engine/tools/map_measure.h"
#include "engine/tools/predictor.h"

namespace bitstage {
namespace {

using Seconds = std::chrono::duration<double>;

// One model and what it answered.
struct Candidate {
  Predictor predictor;
  Seconds time{0};
  ClassificationCounts classification{};
  std::vector<IouCounts> maps{};  // of every image

  absl::StatusOr<Tensor> Predict(const Dataset& data, std::span<const int64_t> indices, ThreadPool* pool) {
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor images, LoadBatch(data, indices, *predictor.model().preprocessing, pool));
    const auto start = std::chrono::steady_clock::now();
    absl::StatusOr<Tensor> outputs = predictor.Run(images);
    time += std::chrono::steady_clock::now() - start;
    return outputs;
  }
};

absl::StatusOr<Candidate> Open(const std::string& path, ThreadPool* pool) {
  BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadModel(path));
  if (!model.preprocessing) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": declares no preprocessing, so images cannot be fed to it"));
  }
  BITSTAGE_ASSIGN_OR_RETURN(Predictor predictor, Predictor::Create(std::move(model), pool));
  return Candidate{.predictor = std::move(predictor)};
}

int64_t Classes(const Candidate& candidate, const Tensor& outputs) {
  return outputs.shape()[1] - candidate.predictor.model().class_offset;
}

// The loop over the images, and what it counts.
class Evaluation {
 public:
  Evaluation(const Dataset& data, MapMeasure measure, ThreadPool* pool) : data_(data), measure_(measure), pool_(pool) {}

  absl::Status Add(Candidate& candidate, Candidate* against, std::span<const int64_t> indices) {
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor outputs, candidate.Predict(data_, indices, pool_));
    std::optional<Tensor> others;
    if (against != nullptr) {
      BITSTAGE_ASSIGN_OR_RETURN(others, against->Predict(data_, indices, pool_));
    }
    const bool maps = AnswersMaps(candidate.predictor.model());
    if (against != nullptr && AnswersMaps(against->predictor.model()) != maps) {
      return absl::InvalidArgumentError("only one of the models classifies");
    }
    if (maps) return AddMaps(candidate, against, indices, outputs, others);
    BITSTAGE_RETURN_IF_ERROR(data_.CheckLabels(outputs.shape()[1], candidate.predictor.model().class_offset));
    if (others && Classes(*against, *others) != Classes(candidate, outputs)) {
      return absl::InvalidArgumentError(absl::StrCat("--against: that model has ", Classes(*against, *others),
                                                     " classes, this one ", Classes(candidate, outputs)));
    }
    return AddClasses(candidate, against, indices, outputs, others);
  }

  [[nodiscard]] const PairedCounts& paired() const { return paired_; }
  [[nodiscard]] const PixelAgreement& pixel_agreement() const { return pixel_agreement_; }
  [[nodiscard]] double Iou(const Candidate& candidate) const { return measure_.Iou(Sum(candidate.maps)); }
  // Mean over the images.
  [[nodiscard]] double Divergence() const { return divergence_ / static_cast<double>(paired_.images); }

 private:
  absl::Status AddClasses(Candidate& candidate, Candidate* against, std::span<const int64_t> indices,
                          const Tensor& outputs, const std::optional<Tensor>& others) {
    const auto logits = [](const Tensor& tensor, size_t n) {
      const auto size = static_cast<size_t>(tensor.shape()[1]);
      return tensor.Span<float>().subspan(n * size, size);
    };
    const int offset = candidate.predictor.model().class_offset;
    for (size_t n = 0; n < indices.size(); ++n) {
      const std::optional<int> label = data_.label(indices[n]);
      if (label) candidate.classification.Add(logits(outputs, n), *label, offset);
      if (against == nullptr) continue;
      const int other_offset = against->predictor.model().class_offset;
      if (label) against->classification.Add(logits(*others, n), *label, other_offset);
      const int reference = TopOutput(logits(*others, n)) - other_offset;
      const int found = TopOutput(logits(outputs, n)) - offset;
      divergence_ += SoftmaxDivergence(logits(*others, n).subspan(static_cast<size_t>(other_offset)),
                                       logits(outputs, n).subspan(static_cast<size_t>(offset)));
      if (label)
        paired_.Add(reference, found, *label);
      else
        paired_.Add(reference, found);
    }
    return absl::OkStatus();
  }

  absl::Status AddMaps(Candidate& candidate, Candidate* against, std::span<const int64_t> indices,
                       const Tensor& outputs, const std::optional<Tensor>& others) {
    BITSTAGE_ASSIGN_OR_RETURN(const LabelMaps truth,
                              measure_.Truth(data_, indices, *candidate.predictor.model().preprocessing, pool_));
    const LabelMaps maps = measure_.Answers(outputs);
    BITSTAGE_RETURN_IF_ERROR(CountMaps(truth, maps, candidate.maps));
    if (!others) return absl::OkStatus();
    const LabelMaps references = measure_.Answers(*others);
    BITSTAGE_RETURN_IF_ERROR(CountMaps(truth, references, against->maps));
    for (size_t n = 0; n < maps.size(); ++n) pixel_agreement_.Add(references[n], maps[n]);
    return absl::OkStatus();
  }

  const Dataset& data_;
  const MapMeasure measure_;
  ThreadPool* pool_;
  PairedCounts paired_;
  double divergence_ = 0;
  PixelAgreement pixel_agreement_;
};

std::string Percent(double share) { return absl::StrFormat("%.2f %%", 100 * share); }
std::string Percent(Interval interval) {
  return absl::StrFormat("%.2f to %.2f %%", 100 * interval.low, 100 * interval.high);
}

void ReportClasses(const Candidate& candidate, const std::optional<Candidate>& against, const Evaluation& evaluation,
                   Console& console, Json& json) {
  const PairedCounts& paired = evaluation.paired();
  const ClassificationCounts& counts = candidate.classification;
  if (counts.images > 0) {
    console.out << "  top-1      " << Percent(counts.Top1()) << "   (95 %: " << Percent(counts.Top1Interval()) << ")\n"
                << "  top-5      " << Percent(counts.Top5()) << '\n';
    json["top1"] = counts.Top1();
    json["top5"] = counts.Top5();
    json["top1_interval"] = {counts.Top1Interval().low, counts.Top1Interval().high};
  }
  if (!against) return;
  console.out << "  agreement  " << Percent(paired.Agreement()) << "   (95 %: " << Percent(paired.AgreementInterval())
              << ")\n"
              << "  divergence " << absl::StrFormat("%.4f", evaluation.Divergence()) << " nats of the softmax\n";
  json["agreement"] = paired.Agreement();
  json["divergence"] = evaluation.Divergence();
  if (paired.labelled == 0) return;
  console.out << "  against    " << Percent(against->classification.Top1()) << " top-1, "
              << Percent(against->classification.Top5()) << " top-5\n"
              << "  lost/won   " << paired.lost << " / " << paired.won
              << "   (difference, 95 %: " << Percent(paired.Top1DifferenceInterval()) << ")\n";
  json["lost"] = paired.lost;
  json["won"] = paired.won;
  json["against_top1"] = against->classification.Top1();
  json["against_top5"] = against->classification.Top5();
  json["difference_interval"] = {paired.Top1DifferenceInterval().low, paired.Top1DifferenceInterval().high};
}

void ReportMaps(const Candidate& candidate, const std::optional<Candidate>& against, const Evaluation& evaluation,
                Console& console, Json& json) {
  const double pixels_right = Sum(candidate.maps).PixelAccuracy();
  console.out << "  IoU        " << absl::StrFormat("%.4f", evaluation.Iou(candidate)) << '\n'
              << "  pixels     " << Percent(pixels_right) << " right\n";
  json["iou"] = evaluation.Iou(candidate);
  json["pixel_accuracy"] = pixels_right;
  if (!against) return;
  console.out << "  against    IoU " << absl::StrFormat("%.4f", evaluation.Iou(*against)) << '\n'
              << "  agreement  " << Percent(evaluation.pixel_agreement().Share()) << " of pixels\n";
  json["against_iou"] = evaluation.Iou(*against);
  json["agreement"] = evaluation.pixel_agreement().Share();
}

absl::Status RunEvaluate(const Arguments& arguments, Console& console) {
  ThreadPool pool(AvailableCpus());
  BITSTAGE_ASSIGN_OR_RETURN(const MapMeasure measure, MapMeasure::FromArguments(arguments));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t first, arguments.Int("skip", 0, 0, INT64_MAX));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t limit, arguments.Int("limit", INT64_MAX, 1, INT64_MAX));
  BITSTAGE_ASSIGN_OR_RETURN(Candidate candidate, Open(arguments.positional()[0], &pool));
  BITSTAGE_RETURN_IF_ERROR(measure.CheckModel(candidate.predictor.model()));
  std::optional<Candidate> against;
  if (arguments.Has("against")) {
    BITSTAGE_ASSIGN_OR_RETURN(Candidate other, Open(arguments.Get("against"), &pool));
    BITSTAGE_RETURN_IF_ERROR(measure.CheckModel(other.predictor.model()));
    against.emplace(std::move(other));
  }
  Dataset::Options options;
  options.labels_path = arguments.Get("labels");
  BITSTAGE_ASSIGN_OR_RETURN(const Dataset data, Dataset::Open(arguments.Get("data"), options));
  const std::vector<int64_t> indices = Range(data.size(), first, limit);
  if (indices.empty()) return absl::InvalidArgumentError(absl::StrCat("--data: no images after the first ", first));

  Evaluation evaluation(data, measure, &pool);
  {
    Progress progress("evaluating", static_cast<int64_t>(indices.size()), Progress::StandardError());
    for (size_t begin = 0; begin < indices.size(); begin += Predictor::kMaxBatch) {
      const size_t count = std::min<size_t>(Predictor::kMaxBatch, indices.size() - begin);
      BITSTAGE_RETURN_IF_ERROR(
          evaluation.Add(candidate, against ? &*against : nullptr, std::span(indices).subspan(begin, count)));
      progress.Advance(static_cast<int64_t>(count));
    }
  }
  const bool maps = AnswersMaps(candidate.predictor.model());
  if (maps) BITSTAGE_RETURN_IF_ERROR(measure.CheckCounts(Sum(candidate.maps)));
  const double rate = static_cast<double>(indices.size()) / candidate.time.count();
  console.out << arguments.positional()[0] << " on " << indices.size() << " of " << data.Description() << '\n';
  Json json;
  json["images"] = indices.size();
  if (maps)
    ReportMaps(candidate, against, evaluation, console, json);
  else
    ReportClasses(candidate, against, evaluation, console, json);
  console.out << "  speed      " << absl::StrFormat("%.1f images/s", rate) << " (the network alone, " << pool.threads()
              << " threads)\n";
  json["images_per_second"] = rate;
  if (arguments.Has("json")) PrintJsonLine(json, console.out);
  return absl::OkStatus();
}

}  // namespace

Command EvaluateCommand() {
  return {.name = "evaluate",
          .synopsis = "MODEL --data PATH [--labels FILE] [--against OTHER] [--limit N]",
          .summary = "Measure a model on labelled images, alone or against another on the same images.",
          .details =
              "MODEL and OTHER are .bitstage or ONNX files that declare their preprocessing.\n"
              "PATH is a CIFAR-10 or MNIST file, a folder or a tar of JPEG and PNG images.",
          .flags = {{.name = "data", .value = "PATH", .help = "the images", .required = true},
                    {.name = "labels",
                     .value = "FILE",
                     .help = "a CSV file: name, class (found beside the images otherwise)"},
                    {.name = "against", .value = "OTHER", .help = "the model to compare with"},
                    {.name = "limit", .value = "N", .help = "at most so many images"},
                    {.name = "skip", .value = "N", .help = "leave out the first N images"},
                    MapMeasure::ClassMapFlag(),
                    {.name = "json", .help = "print one JSON object as the last line"}},
          .min_positional = 1,
          .max_positional = 1,
          .run = RunEvaluate};
}

}  // namespace bitstage
