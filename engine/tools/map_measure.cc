#include "engine/tools/map_measure.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "engine/base/status_macros.h"
#include "engine/compression/calibration.h"
#include "engine/data/batch.h"

namespace bitstage {
namespace {

constexpr int kMostClasses = kIgnoreLabel;  // labels below it

// The n-th of `count` equal parts.
template <typename T>
std::span<const T> Part(std::span<const T> all, int64_t n, int64_t count) {
  const size_t size = all.size() / static_cast<size_t>(count);
  return all.subspan(static_cast<size_t>(n) * size, size);
}

}  // namespace

bool AnswersMaps(const Model& model) { return model.graph.value(model.graph.outputs[0]).shape.rank() > 1; }

Flag MapMeasure::ClassMapFlag() {
  return {.name = "class-map", .value = "P:T", .help = "segmentation: IoU of class T alone, which the network calls P"};
}

absl::StatusOr<MapMeasure> MapMeasure::FromArguments(const Arguments& arguments) {
  if (!arguments.Has("class-map")) return MapMeasure(std::nullopt);
  const std::vector<std::string> parts = absl::StrSplit(arguments.Get("class-map"), ':');
  int predicted = 0;
  int label = 0;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &predicted) || !absl::SimpleAtoi(parts[1], &label) ||
      predicted < 0 || predicted >= kMostClasses || label < 1 || label >= kMostClasses) {
    return UsageError("--class-map expects PREDICTED:TRUTH, two class numbers, TRUTH not 0 (the background)");
  }
  return MapMeasure(ClassMap{static_cast<uint8_t>(predicted), static_cast<uint8_t>(label)});
}

absl::Status MapMeasure::CheckModel(const Model& model) const {
  if (!AnswersMaps(model)) {
    if (!class_map_) return absl::OkStatus();
    return absl::InvalidArgumentError("--class-map: the network answers with a class for an image, not with a map");
  }
  const Value& answer = model.graph.value(model.graph.outputs[0]);
  if (answer.type != DataType::kInt64 && (answer.type != DataType::kFloat32 || answer.shape.rank() != 3)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the network's answer is expected as FP32 scores, C x H x W, or INT64 class numbers, found ",
                     Name(answer.type), " ", answer.shape.ToString()));
  }
  const Shape& scores = model.graph.value(FeatureValue(model.graph)).shape;
  if (scores.rank() != 3) return absl::OkStatus();  // numbers that no scores are behind
  if (scores[0] > kMostClasses) {
    return absl::InvalidArgumentError(
        absl::StrCat("the network's maps have ", scores[0], " classes, expected at most ", kMostClasses));
  }
  if (class_map_ && class_map_->predicted >= scores[0]) {
    return absl::InvalidArgumentError(absl::StrCat("--class-map: the network has the classes 0 to ", scores[0] - 1,
                                                   ", none is ", class_map_->predicted));
  }
  return absl::OkStatus();
}

absl::StatusOr<LabelMaps> MapMeasure::Truth(const Dataset& data, std::span<const int64_t> indices,
                                            const Preprocessing& preprocessing, ThreadPool* pool) const {
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor truths, LoadLabelMapBatch(data, indices, preprocessing, pool));
  LabelMaps maps;
  for (int64_t n = 0; n < truths.shape()[0]; ++n) {
    const std::span<const uint8_t> truth = Part(truths.Span<uint8_t>(), n, truths.shape()[0]);
    std::vector<uint8_t>& map = maps.emplace_back(truth.begin(), truth.end());
    if (!class_map_) continue;
    LabelTable table = OnlyClass(class_map_->label, class_map_->label);
    table[kIgnoreLabel] = kIgnoreLabel;
    Relabel(map, table);
  }
  return maps;
}

LabelMaps MapMeasure::Answers(const Tensor& outputs) const {
  const int64_t images = outputs.shape()[0];
  LabelMaps maps;
  for (int64_t n = 0; n < images; ++n) {
    std::vector<uint8_t>& map = maps.emplace_back();
    if (outputs.type() == DataType::kFloat32) {
      map = ArgMaxMap(Part(outputs.Span<float>(), n, images), static_cast<int>(outputs.shape()[1]));
    } else {
      for (const int64_t label : Part(outputs.Span<int64_t>(), n, images)) {
        map.push_back(static_cast<uint8_t>(std::clamp<int64_t>(label, 0, kMostClasses - 1)));
      }
    }
    if (class_map_) Relabel(map, OnlyClass(class_map_->predicted, class_map_->label));
  }
  return maps;
}

double MapMeasure::Iou(const IouCounts& counts) const {
  return class_map_ ? counts.Iou(class_map_->label).value_or(0) : counts.MeanIou();
}

absl::Status MapMeasure::CheckCounts(const IouCounts& counts) const {
  if (!class_map_ || counts.InTruth(class_map_->label)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--class-map: no pixel of the images' label maps is of class ", class_map_->label));
}

absl::Status CountMaps(const LabelMaps& truth, const LabelMaps& answers, std::vector<IouCounts>& images) {
  for (size_t n = 0; n < truth.size(); ++n) {
    if (!images.emplace_back().Add(truth[n], answers[n])) {
      return absl::InvalidArgumentError(
          absl::StrCat("the model's maps have ", answers[n].size(), " pixels, its input has ", truth[n].size()));
    }
  }
  return absl::OkStatus();
}

}  // namespace bitstage
