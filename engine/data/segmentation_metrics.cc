#include "engine/data/segmentation_metrics.h"

#include <cmath>

namespace bitstage {

std::vector<uint8_t> ArgMaxMap(std::span<const float> scores, int channels) {
  const size_t pixels = scores.size() / static_cast<size_t>(channels);
  std::vector<uint8_t> labels(pixels, 0);
  std::vector<float> best(scores.begin(), scores.begin() + static_cast<ptrdiff_t>(pixels));
  for (size_t c = 1; c < static_cast<size_t>(channels); ++c) {
    for (size_t i = 0; i < pixels; ++i) {
      const float score = scores[c * pixels + i];
      if (score > best[i]) {
        best[i] = score;
        labels[i] = static_cast<uint8_t>(c);
      }
    }
  }
  return labels;
}

LabelTable OnlyClass(uint8_t predicted, uint8_t label) {
  LabelTable table{};
  table[predicted] = label;
  return table;
}

void Relabel(std::span<uint8_t> map, const LabelTable& table) {
  for (uint8_t& label : map) label = table[label];
}

bool IouCounts::Add(std::span<const uint8_t> truth, std::span<const uint8_t> predicted) {
  if (truth.size() != predicted.size()) return false;
  for (size_t i = 0; i < truth.size(); ++i) {
    if (truth[i] == kIgnoreLabel) continue;
    ++counts_[truth[i]].truth;
    ++counts_[predicted[i]].predicted;
    if (truth[i] == predicted[i]) ++counts_[truth[i]].both;
  }
  return true;
}

void IouCounts::Add(const IouCounts& other, int sign) {
  for (size_t label = 0; label < counts_.size(); ++label) {
    counts_[label].truth += sign * other.counts_[label].truth;
    counts_[label].predicted += sign * other.counts_[label].predicted;
    counts_[label].both += sign * other.counts_[label].both;
  }
}

IouCounts& IouCounts::operator+=(const IouCounts& more) {
  Add(more, 1);
  return *this;
}

IouCounts& IouCounts::operator-=(const IouCounts& some) {
  Add(some, -1);
  return *this;
}

std::optional<double> IouCounts::Iou(uint8_t label) const {
  const Count& count = counts_[label];
  const int64_t together = count.truth + count.predicted - count.both;
  if (together == 0) return std::nullopt;
  return static_cast<double>(count.both) / static_cast<double>(together);
}

double IouCounts::MeanIou(std::span<const uint8_t> labels) const {
  double sum = 0.0;
  int present = 0;
  for (const uint8_t label : labels) {
    const std::optional<double> iou = Iou(label);
    if (!iou) continue;
    sum += *iou;
    ++present;
  }
  return present == 0 ? 0.0 : sum / present;
}

double IouCounts::MeanIou() const {
  std::vector<uint8_t> labels;
  for (size_t label = 0; label < counts_.size(); ++label) {
    if (counts_[label].truth != 0) labels.push_back(static_cast<uint8_t>(label));
  }
  return MeanIou(labels);
}

double IouCounts::PixelAccuracy() const {
  int64_t all = 0;
  int64_t right = 0;
  for (const Count& count : counts_) {
    all += count.truth;
    right += count.both;
  }
  return all == 0 ? 0.0 : static_cast<double>(right) / static_cast<double>(all);
}

IouCounts Sum(std::span<const IouCounts> images) {
  IouCounts sum;
  for (const IouCounts& image : images) sum += image;
  return sum;
}

Interval IouDifferenceInterval(std::span<const IouCounts> reference, std::span<const IouCounts> candidate,
                               absl::FunctionRef<double(const IouCounts&)> iou) {
  const size_t images = reference.size();
  if (images < 2) return {-1, 1};
  IouCounts references = Sum(reference);
  IouCounts candidates = Sum(candidate);
  const double difference = iou(candidates) - iou(references);
  std::vector<double> without;
  double mean = 0;
  for (size_t n = 0; n < images; ++n) {
    references -= reference[n];
    candidates -= candidate[n];
    without.push_back(iou(candidates) - iou(references));
    mean += without.back() / static_cast<double>(images);
    references += reference[n];
    candidates += candidate[n];
  }
  double squares = 0;
  for (const double d : without) squares += (d - mean) * (d - mean);
  const auto n = static_cast<double>(images);
  const double half = kZ95 * std::sqrt((n - 1) / n * squares);
  return {difference - half, difference + half};
}

void PixelAgreement::Add(std::span<const uint8_t> reference, std::span<const uint8_t> candidate) {
  pixels += static_cast<int64_t>(candidate.size());
  for (size_t i = 0; i < candidate.size(); ++i) agreeing += reference[i] == candidate[i];
}

}  // namespace bitstage
