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

std::string CellsOf(const StudyRow& row) {
  const Interval difference = row.paired.Top1DifferenceInterval();
  return absl::StrFormat("| %.2f | %.2f | %d / %d | %+.2f … %+.2f |", 100 * row.counts.Top1(),
                         100 * row.paired.Agreement(), row.paired.lost, row.paired.won, 100 * difference.low,
                         100 * difference.high);
}

Json JsonOf(const StudyRow& row) {
  return {{"scheme", row.name},        {"nominal_bits", row.bits},
          {"top1", row.counts.Top1()}, {"agreement", row.paired.Agreement()},
          {"lost", row.paired.lost},   {"won", row.paired.won}};
}

absl::StatusOr<StudyRow> StudyRunner::Evaluate(const std::string& name, double bits,
                                               absl::FunctionRef<absl::StatusOr<Tensor>(const Tensor& images)> run) {
  StudyRow row{.name = name, .bits = bits, .counts = {}, .paired = {}};
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<int> labels, test_.Labels(0));
  std::vector<int> answers;
  Progress progress(name, static_cast<int64_t>(labels.size()), Progress::StandardError());
  for (size_t begin = 0; begin < labels.size(); begin += static_cast<size_t>(batch_)) {
    const size_t count = std::min(static_cast<size_t>(batch_), labels.size() - begin);
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor images, LoadBatch(test_.data, std::span(test_.indices).subspan(begin, count),
                                                             *model_.preprocessing, pool_));
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor z, run(images));
    const size_t classes = z.Span<float>().size() / count;
    for (size_t n = 0; n < count; ++n) {
      const std::span<const float> logits = z.Span<float>().subspan(n * classes, classes);
      row.counts.Add(logits, labels[begin + n], model_.class_offset);
      answers.push_back(TopOutput(logits) - model_.class_offset);
    }
    progress.Advance(static_cast<int64_t>(count));
  }
  if (float_answers_.empty()) float_answers_ = answers;
  for (size_t n = 0; n < answers.size(); ++n) row.paired.Add(float_answers_[n], answers[n], labels[n]);
  return row;
}

}  // namespace bitstage
