#include "engine/study/weight_study.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/compression/calibration.h"
#include "engine/compression/lowering.h"
#include "engine/compression/sensitivity.h"
#include "engine/reference/float_executor.h"

namespace bitstage {
namespace {

constexpr int kLowest = 2;  // one bit is the least and the largest weight: useless
constexpr int kHighest = 10;
constexpr int kProbeBits = 8;
constexpr int kBisections = 9;

double Range(std::span<const float> weights) {
  const auto [least, largest] = std::minmax_element(weights.begin(), weights.end());
  return static_cast<double>(*largest) - *least;
}

}  // namespace

void RoundMinMax(std::span<float> weights, int bits) {
  const double range = Range(weights);
  if (range == 0) return;
  const double least = *std::min_element(weights.begin(), weights.end());
  const double step = range / static_cast<double>((1 << bits) - 1);
  for (float& w : weights) w = static_cast<float>(least + step * std::nearbyint((w - least) / step));
}

std::vector<LayerWidths> CandidateWidths(WidthMethod method, std::span<const LayerNoise> layers) {
  std::vector<LayerWidths> all;
  if (method == WidthMethod::kEqual) {
    for (int bits = kLowest; bits <= kHighest; ++bits) all.emplace_back(layers.size(), bits);
    return all;
  }
  const double noise_at_zero_bits = TotalNoise(layers, std::vector<double>(layers.size(), 0.0));
  for (double width = kLowest; width <= kHighest; width += 0.125) {
    const double budget = noise_at_zero_bits * std::exp(-kNoisePerBit * width);
    const std::vector<double> bits =
        method == WidthMethod::kSqnr ? SqnrBits(layers, budget) : ClosedFormBits(layers, budget);
    for (LayerWidths& variant : RoundingVariants(bits, kLowest, kHighest)) all.push_back(std::move(variant));
  }
  struct Candidate {
    double size;
    double noise;
    const LayerWidths* widths;
  };
  std::vector<Candidate> candidates;
  for (const LayerWidths& widths : all) {
    const std::vector<double> bits(widths.begin(), widths.end());
    candidates.push_back({MeanBits(layers, bits), TotalNoise(layers, bits), &widths});
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.size != b.size ? a.size < b.size : a.noise < b.noise;
  });
  constexpr double kApart = 0.1;
  std::vector<LayerWidths> kept;
  const Candidate* last = nullptr;
  for (const Candidate& candidate : candidates) {
    if (last != nullptr && (candidate.noise >= last->noise || candidate.size < last->size + kApart)) continue;
    kept.push_back(*candidate.widths);
    last = &candidate;
  }
  return kept;
}

std::optional<double> SavingAtEqualNoise(const SizePoint& point, std::span<const SizePoint> equal) {
  for (size_t i = 0; i + 1 < equal.size(); ++i) {
    const SizePoint& loud = equal[i];
    const SizePoint& quiet = equal[i + 1];
    if (!(point.noise <= loud.noise && point.noise >= quiet.noise && loud.noise > quiet.noise)) continue;
    const double share = std::log(loud.noise / point.noise) / std::log(loud.noise / quiet.noise);
    return 1 - point.bits / (loud.bits + share * (quiet.bits - loud.bits));
  }
  return std::nullopt;
}

absl::StatusOr<WeightStudy> WeightStudy::Create(Graph graph, Tensor images, std::vector<int> labels, ThreadPool* pool) {
  if (images.shape()[0] != static_cast<int64_t>(labels.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("weight study: ", labels.size(), " labels for ", images.shape()[0], " images"));
  }
  WeightStudy study(std::move(graph), std::move(images), std::move(labels), pool);
  study.nodes_ = WeightedNodes(study.graph_);
  for (size_t layer = 0; layer < study.nodes_.size(); ++layer) {
    const std::span<const float> weights = study.WeightsOfLayer(layer);
    study.float_weights_.emplace_back(weights.begin(), weights.end());
  }
  BITSTAGE_ASSIGN_OR_RETURN(study.features_, study.Run(study.images_));
  study.margin_ = MeanMargin(study.features_);
  if (!(study.margin_ > 0)) return absl::InvalidArgumentError("weight study: the network decides nothing (margin 0)");
  return study;
}

std::span<float> WeightStudy::WeightsOfLayer(size_t layer) {
  return graph_.constant(WeightsOf(graph_.nodes[nodes_[layer]].op)).values->Span<float>();
}

absl::Status WeightStudy::Round(const LayerWidths& widths) {
  if (!widths.empty() && widths.size() != nodes_.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("weight study: ", widths.size(), " widths for ", nodes_.size(), " layers"));
  }
  for (size_t layer = 0; layer < nodes_.size(); ++layer) {
    const std::span<float> weights = WeightsOfLayer(layer);
    std::copy(float_weights_[layer].begin(), float_weights_[layer].end(), weights.begin());
    if (!widths.empty()) RoundMinMax(weights, widths[layer]);
  }
  return absl::OkStatus();
}

absl::StatusOr<Tensor> WeightStudy::Run(const Tensor& images) const {
  const ValueId wanted = FeatureValue(graph_);
  Tensor features;
  const std::vector<TensorView> inputs = {images.View()};
  BITSTAGE_RETURN_IF_ERROR(FloatExecutor(graph_, pool_)
                               .Run(inputs,
                                    [&](ValueId id, Tensor& value) {
                                      if (id == wanted) features = value.Clone();
                                    })
                               .status());
  return features;
}

absl::StatusOr<double> WeightStudy::NoiseOverMargin() const {
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor z, Run(images_));
  return MeanSquaredDistance(features_, z) / margin_;
}

double WeightStudy::Accuracy(const Tensor& z) const {
  const size_t classes = z.Span<float>().size() / labels_.size();
  size_t right = 0;
  for (size_t n = 0; n < labels_.size(); ++n) {
    const std::span<const float> logits = z.Span<float>().subspan(n * classes, classes);
    right += static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin() == labels_[n]);
  }
  return static_cast<double>(right) / static_cast<double>(labels_.size());
}

absl::StatusOr<std::vector<LayerNoise>> WeightStudy::MeasureLayers(
    double accuracy, uint64_t seed, const std::function<void(int64_t, int64_t)>& progress) {
  BITSTAGE_RETURN_IF_ERROR(Round({}));
  const double target = Accuracy(features_) - accuracy;
  std::vector<LayerNoise> layers;
  for (size_t layer = 0; layer < nodes_.size(); ++layer) {
    const std::span<float> weights = WeightsOfLayer(layer);
    const std::vector<float>& original = float_weights_[layer];
    RoundMinMax(weights, kProbeBits);
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor probe, Run(images_));
    std::mt19937_64 random(seed + layer);
    std::uniform_real_distribution<float> even(-0.5f, 0.5f);
    std::vector<float> pattern(original.size());
    for (float& x : pattern) x = even(random);
    const auto disturb = [&](double scale) -> absl::StatusOr<NoiseEffect> {
      for (size_t i = 0; i < original.size(); ++i) weights[i] = original[i] + static_cast<float>(scale) * pattern[i];
      BITSTAGE_ASSIGN_OR_RETURN(const Tensor z, Run(images_));
      return NoiseEffect{Accuracy(z), MeanSquaredDistance(features_, z)};
    };
    const double start = std::max(Range(original), 1e-6) / (1 << 3);
    BITSTAGE_ASSIGN_OR_RETURN(const Robustness robustness, NoiseForAccuracy(target, start, kBisections, disturb));
    // A layer that 8 bits hold exactly counts as almost silent.
    const double noise = std::max(MeanSquaredDistance(features_, probe), 1e-12 * margin_);
    layers.push_back({NoiseCoefficient(noise, kProbeBits), robustness.squared_noise / margin_,
                      static_cast<double>(original.size())});
    std::copy(original.begin(), original.end(), weights.begin());
    if (progress) progress(static_cast<int64_t>(layer) + 1, static_cast<int64_t>(nodes_.size()));
  }
  return layers;
}

}  // namespace bitstage
