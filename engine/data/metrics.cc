#include "engine/data/metrics.h"

#include <algorithm>
#include <cmath>

namespace bitstage {

int TopOutput(std::span<const float> logits) {
  int best = 0;
  for (int i = 1; i < static_cast<int>(logits.size()); ++i) {
    const float value = logits[static_cast<size_t>(i)];
    const float best_value = logits[static_cast<size_t>(best)];
    if (value > best_value || (std::isnan(best_value) && !std::isnan(value))) best = i;
  }
  return best;
}

int RankOf(std::span<const float> logits, int output) {
  const float wanted = logits[static_cast<size_t>(output)];
  int rank = 0;
  for (int i = 0; i < static_cast<int>(logits.size()); ++i) {
    const float value = logits[static_cast<size_t>(i)];
    const bool equal = value == wanted || (std::isnan(value) && std::isnan(wanted));
    if (value > wanted || (std::isnan(wanted) && !std::isnan(value)) || (equal && i < output)) ++rank;
  }
  return rank;
}

double SoftmaxDivergence(std::span<const float> reference, std::span<const float> candidate) {
  const auto log_sum = [](std::span<const float> logits) {
    const double top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float x : logits) sum += std::exp(x - top);
    return top + std::log(sum);
  };
  const double of_reference = log_sum(reference);
  const double of_candidate = log_sum(candidate);
  double divergence = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - of_reference;
    divergence += std::exp(log_p) * (log_p - (candidate[i] - of_candidate));
  }
  return std::max(divergence, 0.0);
}

Interval WilsonInterval(int64_t successes, int64_t trials, double z) {
  if (trials <= 0) return {0.0, 1.0};
  const double n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n;
  const double z2 = z * z;
  const double centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
  const double half = z / (1.0 + z2 / n) * std::sqrt(p * (1.0 - p) / n + z2 / (4.0 * n * n));
  return {std::max(centre - half, 0.0), std::min(centre + half, 1.0)};
}

Interval PairedDifferenceInterval(int64_t lost, int64_t won, int64_t trials, double z) {
  if (trials <= 0) return {-1.0, 1.0};
  const double n = static_cast<double>(trials) + 2.0;
  const double difference = static_cast<double>(won - lost) / n;
  const double differing = (static_cast<double>(won + lost) + 1.0) / n;
  const double half = z * std::sqrt(std::max(differing - difference * difference, 0.0) / n);
  return {std::max(difference - half, -1.0), std::min(difference + half, 1.0)};
}

void ClassificationCounts::Add(std::span<const float> logits, int label, int class_offset) {
  ++images;
  const int64_t output = int64_t{label} + class_offset;
  if (output < 0 || output >= static_cast<int64_t>(logits.size())) return;
  const int rank = RankOf(logits, static_cast<int>(output));
  top1 += rank < 1 ? 1 : 0;
  top5 += rank < 5 ? 1 : 0;
}

void PairedCounts::Add(int reference_class, int candidate_class) {
  ++images;
  agreeing += reference_class == candidate_class ? 1 : 0;
}

void PairedCounts::Add(int reference_class, int candidate_class, int label) {
  Add(reference_class, candidate_class);
  ++labelled;
  if (reference_class == candidate_class) return;
  lost += reference_class == label ? 1 : 0;
  won += candidate_class == label ? 1 : 0;
}

}  // namespace bitstage
