// MeasureAnswers: every model on every image, once.
#include <algorithm>
#include <map>
#include <span>
#include <tuple>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "engine/base/progress.h"
#include "engine/base/status_macros.h"
#include "engine/data/batch.h"
#include "engine/data/metrics.h"
#include "engine/image/picture.h"
#include "engine/tools/predictor.h"
#include "engine/tools/report_measures.h"

namespace bitstage {
namespace {

constexpr int kPictureSide = 160;

// One model and its answers: classes without the offset, by position in the indices.
struct Contestant {
  Predictor predictor;
  ClassificationCounts counts{};
  PairedCounts paired{};
  std::vector<int> answers{};

  [[nodiscard]] int offset() const { return predictor.model().class_offset; }
};

report::Share ShareOf(double value, Interval interval) { return {value, interval.low, interval.high}; }

report::Accuracy AccuracyOf(const ClassificationCounts& counts) {
  return {ShareOf(counts.Top1(), counts.Top1Interval()), counts.Top5()};
}

report::Paired PairedOf(const PairedCounts& counts) {
  const double difference =
      counts.labelled == 0 ? 0 : static_cast<double>(counts.won - counts.lost) / static_cast<double>(counts.labelled);
  return {.agreement = ShareOf(counts.Agreement(), counts.AgreementInterval()),
          .lost = counts.lost,
          .won = counts.won,
          .difference = ShareOf(difference, counts.Top1DifferenceInterval())};
}

class Contest {
 public:
  Contest(const Dataset& data, const std::vector<int64_t>& indices, ThreadPool* pool, report::Report& report)
      : data_(data), indices_(indices), pool_(pool), report_(report) {}

  // The float network, where there is one, comes first.
  absl::Status Enter(const std::shared_ptr<const Model>& model, const std::string& name) {
    const Shape& shape = model->graph.value(model->graph.outputs[0]).shape;
    if (shape.rank() != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": its output is ", shape.ToString(),
                       ", and a report shows the answers of networks that classify; "
                       "without --data it shows all else, and bitstage-model evaluate measures maps"));
    }
    const int64_t classes = shape[0] - model->class_offset;
    if (classes_ != 0 && classes != classes_) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": tells ", classes, " classes apart, the others ", classes_,
                                                     ": models of one network belong on one page"));
    }
    classes_ = classes;
    BITSTAGE_ASSIGN_OR_RETURN(Predictor predictor, Predictor::Create(model->Clone(), pool_));
    contestants_.push_back(Contestant{.predictor = std::move(predictor)});
    return absl::OkStatus();
  }

  absl::Status CheckLabels() const {
    for (const int64_t index : indices_) {
      const std::optional<int> label = data_.label(index);
      if (label && (*label < 0 || *label >= classes_)) {
        return absl::InvalidArgumentError(absl::StrCat("--data: image '", data_.name(index), "' has the label ", *label,
                                                       ", but the networks tell ", classes_, " classes apart"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Run(bool has_float) {
    Progress progress("answers", static_cast<int64_t>(indices_.size()), Progress::StandardError());
    for (size_t begin = 0; begin < indices_.size(); begin += Predictor::kMaxBatch) {
      const size_t count = std::min<size_t>(Predictor::kMaxBatch, indices_.size() - begin);
      BITSTAGE_RETURN_IF_ERROR(RunBatch(std::span(indices_).subspan(begin, count), has_float));
      progress.Advance(static_cast<int64_t>(count));
    }
    return absl::OkStatus();
  }

  [[nodiscard]] const Contestant& at(size_t index) const { return contestants_[index]; }

  // The name of a class, by the first model that has names.
  [[nodiscard]] std::string ClassName(int number) const {
    for (const Contestant& contestant : contestants_) {
      const std::vector<std::string>& labels = contestant.predictor.model().labels;
      const auto output = static_cast<size_t>(number + contestant.offset());
      if (number >= 0 && output < labels.size()) return labels[output].substr(0, labels[output].find(','));
    }
    return absl::StrCat("class ", number);
  }

  // Requires the float network as the first contestant.
  absl::Status Changes(int64_t pictures) {
    std::vector<std::pair<int64_t, size_t>> changed;  // how many models (negative: most first), which image
    std::map<std::tuple<size_t, int, int>, int64_t> confusions;
    for (size_t i = 0; i < indices_.size(); ++i) {
      int64_t models = 0;
      for (size_t m = 1; m < contestants_.size(); ++m) {
        if (contestants_[m].answers[i] == contestants_[0].answers[i]) continue;
        ++models;
        ++confusions[{m - 1, contestants_[0].answers[i], contestants_[m].answers[i]}];
      }
      if (models > 0) changed.emplace_back(-models, i);
    }
    std::sort(changed.begin(), changed.end());
    report_.changed_total = static_cast<int64_t>(changed.size());
    if (static_cast<int64_t>(changed.size()) > pictures) changed.resize(static_cast<size_t>(pictures));
    for (const auto& [models, i] : changed) {
      BITSTAGE_ASSIGN_OR_RETURN(report::ChangedImage image, Show(i));
      report_.changed.push_back(std::move(image));
    }
    for (const auto& [key, count] : confusions) {
      const auto& [model, from, to] = key;
      report_.confusions.push_back({model, ClassName(from), ClassName(to), count});
    }
    std::stable_sort(report_.confusions.begin(), report_.confusions.end(),
                     [](const auto& a, const auto& b) { return a.count > b.count; });
    return absl::OkStatus();
  }

 private:
  absl::Status RunBatch(std::span<const int64_t> indices, bool has_float) {
    Tensor images;
    const Preprocessing* loaded = nullptr;
    for (size_t m = 0; m < contestants_.size(); ++m) {
      Contestant& contestant = contestants_[m];
      const Preprocessing& wanted = *contestant.predictor.model().preprocessing;
      if (loaded == nullptr || !(*loaded == wanted)) {
        BITSTAGE_ASSIGN_OR_RETURN(images, LoadBatch(data_, indices, wanted, pool_));
        loaded = &wanted;
      }
      BITSTAGE_ASSIGN_OR_RETURN(const Tensor outputs, contestant.predictor.Run(images));
      const auto size = static_cast<size_t>(outputs.shape()[1]);
      for (size_t n = 0; n < indices.size(); ++n) {
        const std::span<const float> logits = outputs.Span<float>().subspan(n * size, size);
        const std::optional<int> label = data_.label(indices[n]);
        const int answer = TopOutput(logits) - contestant.offset();
        if (label) contestant.counts.Add(logits, *label, contestant.offset());
        contestant.answers.push_back(answer);
        if (!has_float || m == 0) continue;
        const int reference = contestants_[0].answers[contestant.answers.size() - 1];
        if (label)
          contestant.paired.Add(reference, answer, *label);
        else
          contestant.paired.Add(reference, answer);
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<report::ChangedImage> Show(size_t i) const {
    const int64_t index = indices_[i];
    const ColorOrder order = contestants_[0].predictor.model().preprocessing->color == ColorOrder::kGray
                                 ? ColorOrder::kGray
                                 : ColorOrder::kRgb;
    BITSTAGE_ASSIGN_OR_RETURN(const Image pixels, data_.Load(index, order));
    BITSTAGE_ASSIGN_OR_RETURN(const Picture picture, EncodePicture(pixels, kPictureSide));
    report::ChangedImage image{
        .name = data_.name(index),
        .picture = absl::StrCat("data:", picture.mime, ";base64,", absl::Base64Escape(picture.bytes)),
        .truth = std::nullopt,
        .float_answer = ClassName(contestants_[0].answers[i])};
    if (const std::optional<int> label = data_.label(index)) image.truth = ClassName(*label);
    for (size_t m = 1; m < contestants_.size(); ++m) {
      if (contestants_[m].answers[i] == contestants_[0].answers[i]) continue;
      image.answers.push_back({m - 1, ClassName(contestants_[m].answers[i])});
    }
    return image;
  }

  const Dataset& data_;
  const std::vector<int64_t>& indices_;
  ThreadPool* pool_;
  report::Report& report_;
  std::vector<Contestant> contestants_;
  int64_t classes_ = 0;
};

}  // namespace

absl::Status MeasureAnswers(const std::vector<std::shared_ptr<const Model>>& models,
                            const std::shared_ptr<const Model>& float_model, const Dataset& data,
                            const std::vector<int64_t>& indices, int64_t pictures, ThreadPool* pool,
                            report::Report& report) {
  Contest contest(data, indices, pool, report);
  const bool has_float = float_model != nullptr;
  if (has_float) BITSTAGE_RETURN_IF_ERROR(contest.Enter(float_model, report.reference->name));
  for (size_t i = 0; i < models.size(); ++i) {
    BITSTAGE_RETURN_IF_ERROR(contest.Enter(models[i], report.models[i].name));
  }
  BITSTAGE_RETURN_IF_ERROR(contest.CheckLabels());
  BITSTAGE_RETURN_IF_ERROR(contest.Run(has_float));
  if (has_float && data.has_labels()) report.reference->accuracy = AccuracyOf(contest.at(0).counts);
  for (size_t i = 0; i < models.size(); ++i) {
    const Contestant& contestant = contest.at(i + (has_float ? 1 : 0));
    if (data.has_labels()) report.models[i].accuracy = AccuracyOf(contestant.counts);
    if (has_float) report.models[i].paired = PairedOf(contestant.paired);
  }
  return has_float ? contest.Changes(pictures) : absl::OkStatus();
}

}  // namespace bitstage
