#include "engine/tools/study_runner.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/progress.h"
#include "engine/base/status_macros.h"
#include "engine/data/batch.h"
#include "engine/data/selection.h"

namespace bitstage {

absl::StatusOr<std::vector<int>> StudyImages::Labels(int class_offset) const {
  std::vector<int> labels;
  for (const int64_t index : indices) {
    const std::optional<int> label = data.label(index);
    if (!label) return absl::FailedPreconditionError(absl::StrCat("image ", data.name(index), " has no label"));
    labels.push_back(*label + class_offset);
  }
  return labels;
}

absl::StatusOr<StudyImages> OpenImages(const Arguments& arguments, const std::string& flag, int64_t limit) {
  BITSTAGE_ASSIGN_OR_RETURN(Dataset data, Dataset::Open(arguments.Get(flag)));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t begin, arguments.Int(absl::StrCat(flag, "-begin"), 0, 0, data.size() - 1));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t end,
                            arguments.Int(absl::StrCat(flag, "-end"), data.size(), begin + 1, data.size()));
  std::vector<int64_t> indices = Range(data.size(), begin, std::min(end - begin, limit));
  return StudyImages{std::move(data), std::move(indices)};
}

std::string StudyColumns(bool maps) {
  return maps ? "| IoU | agreement, % of pixels | IoU − float, 95 % |"
              : "| top-1, % | agreement, % | lost / won | top-1 − float, 95 % |";
}

std::string CellsOf(const StudyRow& row) {
  if (row.map) {
    return absl::StrFormat("| %.4f | %.2f | %+.4f … %+.4f |", row.map->iou, 100 * row.map->agreement,
                           row.map->difference.low, row.map->difference.high);
  }
  const Interval difference = row.paired.Top1DifferenceInterval();
  return absl::StrFormat("| %.2f | %.2f | %d / %d | %+.2f … %+.2f |", 100 * row.counts.Top1(),
                         100 * row.paired.Agreement(), row.paired.lost, row.paired.won, 100 * difference.low,
                         100 * difference.high);
}

Json JsonOf(const StudyRow& row) {
  Json json = {{"scheme", row.name}, {"nominal_bits", row.bits}};
  if (row.map) {
    json["iou"] = row.map->iou;
    json["agreement"] = row.map->agreement;
    json["difference_interval"] = {row.map->difference.low, row.map->difference.high};
    return json;
  }
  json["top1"] = row.counts.Top1();
  json["agreement"] = row.paired.Agreement();
  json["lost"] = row.paired.lost;
  json["won"] = row.paired.won;
  return json;
}

absl::StatusOr<StudyRow> StudyRunner::Evaluate(const std::string& name, double bits,
                                               absl::FunctionRef<absl::StatusOr<Tensor>(const Tensor& images)> run) {
  const bool maps = AnswersMaps(model_);
  StudyRow row{.name = name, .bits = bits, .counts = {}, .paired = {}, .map = {}};
  std::vector<int> labels;
  if (!maps) {
    BITSTAGE_ASSIGN_OR_RETURN(labels, test_.Labels(0));
  }
  Answers answers;
  Progress progress(name, static_cast<int64_t>(test_.indices.size()), Progress::StandardError());
  for (size_t begin = 0; begin < test_.indices.size(); begin += static_cast<size_t>(batch_)) {
    const size_t count = std::min(static_cast<size_t>(batch_), test_.indices.size() - begin);
    const std::span<const int64_t> indices = std::span(test_.indices).subspan(begin, count);
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor images, LoadBatch(test_.data, indices, *model_.preprocessing, pool_));
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor z, run(images));
    if (maps) {
      BITSTAGE_RETURN_IF_ERROR(TakeMaps(indices, z, answers));
    } else {
      TakeClasses(std::span(labels).subspan(begin, count), z, row.counts, answers);
    }
    progress.Advance(static_cast<int64_t>(count));
  }
  if (!float_answers_) float_answers_ = answers;
  if (maps) {
    const auto iou = [&](const IouCounts& counts) { return measure_.Iou(counts); };
    const IouCounts all = Sum(answers.counts);
    BITSTAGE_RETURN_IF_ERROR(measure_.CheckCounts(all));
    PixelAgreement agreement;
    for (size_t n = 0; n < answers.maps.size(); ++n) agreement.Add(float_answers_->maps[n], answers.maps[n]);
    row.map = MapScore{iou(all), agreement.Share(), IouDifferenceInterval(float_answers_->counts, answers.counts, iou)};
  }
  for (size_t n = 0; n < answers.classes.size(); ++n) {
    row.paired.Add(float_answers_->classes[n], answers.classes[n], labels[n]);
  }
  return row;
}

void StudyRunner::TakeClasses(std::span<const int> labels, const Tensor& z, ClassificationCounts& counts,
                              Answers& answers) const {
  const size_t classes = z.Span<float>().size() / labels.size();
  for (size_t n = 0; n < labels.size(); ++n) {
    const std::span<const float> logits = z.Span<float>().subspan(n * classes, classes);
    counts.Add(logits, labels[n], model_.class_offset);
    answers.classes.push_back(TopOutput(logits) - model_.class_offset);
  }
}

absl::Status StudyRunner::TakeMaps(std::span<const int64_t> indices, const Tensor& z, Answers& answers) const {
  BITSTAGE_ASSIGN_OR_RETURN(const LabelMaps truth, measure_.Truth(test_.data, indices, *model_.preprocessing, pool_));
  LabelMaps maps = measure_.Answers(z);
  BITSTAGE_RETURN_IF_ERROR(CountMaps(truth, maps, answers.counts));
  for (std::vector<uint8_t>& map : maps) answers.maps.push_back(std::move(map));
  return absl::OkStatus();
}

}  // namespace bitstage
