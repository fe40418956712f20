#include "engine/study/activation_study.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/compression/sensitivity.h"
#include "engine/quant/allocation.h"
#include "engine/quant/dqa_importance.h"
#include "engine/reference/float_executor.h"
#include "engine/study/block_outputs.h"
#include "engine/study/channel_planes.h"

namespace bitstage {
namespace {

// What adaptive widths choose between, also with a bit more for half of the channels, and images that show the noise.
constexpr int kLeastAdaptiveBits = 2;
constexpr int kMostAdaptiveBits = 6;
constexpr int64_t kAdaptiveImages = 64;
constexpr int kRankingBits = 3;  // the paper ranks at 3 bits and keeps the ranking for 4 and 5

// The last block of which a channel is quantized; 0 where none is.
size_t LastWithFlags(const QuantizedChannels& quantized) {
  size_t last = 0;
  for (size_t block = 0; block < quantized.size(); ++block) {
    if (std::find(quantized[block].begin(), quantized[block].end(), 1) != quantized[block].end()) last = block;
  }
  return last;
}

int TopClass(std::span<const float> z) { return static_cast<int>(std::max_element(z.begin(), z.end()) - z.begin()); }

}  // namespace

absl::StatusOr<ActivationStudy> ActivationStudy::Create(const Graph& graph, Tensor calibration_images,
                                                        std::vector<int> labels, ThreadPool* pool) {
  ActivationStudy study(graph, pool);
  study.blocks_ = BlockOutputs(graph);
  if (study.blocks_.empty())
    return absl::InvalidArgumentError("the network has no blocks whose outputs could be quantized");
  BITSTAGE_ASSIGN_OR_RETURN(study.calibration_, Calibrate(graph, calibration_images, pool, {}));
  study.calibration_images_ = std::move(calibration_images);
  study.labels_ = std::move(labels);
  return study;
}

int64_t ActivationStudy::ChannelsOf(size_t block) const { return graph_->value(blocks_[block]).shape[0]; }

std::span<const Histogram> ActivationStudy::HistogramsOf(size_t block) const {
  return calibration_.values[static_cast<size_t>(blocks_[block])].channels;
}

absl::StatusOr<Tensor> ActivationStudy::RunWith(const Graph& graph, const Tensor& start,
                                                const std::function<void(size_t, Tensor&)>& quantize) const {
  const ValueId features = FeatureValue(*graph_);
  Tensor found;
  const std::vector<TensorView> inputs = {start.View()};
  const auto observe = [&](ValueId id, Tensor& value) {
    const auto block = std::find(blocks_.begin(), blocks_.end(), id);
    if (block != blocks_.end()) quantize(static_cast<size_t>(block - blocks_.begin()), value);
    if (id == features) found = value.Clone();
  };
  BITSTAGE_RETURN_IF_ERROR(FloatExecutor(graph, pool_).Run(inputs, observe).status());
  return found;
}

absl::StatusOr<std::vector<std::vector<double>>> ActivationStudy::GreedyScores(
    const std::function<void(int64_t, int64_t)>& progress) {
  if (labels_.size() != static_cast<size_t>(calibration_images_.shape()[0])) {
    return absl::FailedPreconditionError("the greedy ranking needs labelled calibration images");
  }
  std::vector<int64_t> channels;
  int64_t total = 0;
  for (size_t block = 0; block < blocks_.size(); ++block) {
    channels.push_back(ChannelsOf(block));
    total += channels.back();
  }
  int64_t done = 0;
  // What the runs for one block's channels share: its output before it is quantized, and the network behind it.
  struct {
    QuantizedChannels before;  // the flags that gave it
    std::optional<Graph> rest;
    Tensor output;
  } shared;
  const auto accuracy = [&](const QuantizedChannels& quantized) -> absl::StatusOr<double> {
    const auto quantize = [&](size_t block, Tensor& value) {
      const ChannelPlanes planes(value);
      for (int64_t c = 0; c < planes.channels; ++c) {
        if (quantized[block][static_cast<size_t>(c)] != 0) QuantizeOnline(planes, c, kRankingBits);
      }
    };
    const size_t last = LastWithFlags(quantized);
    const QuantizedChannels before(quantized.begin(), quantized.begin() + static_cast<ptrdiff_t>(last));
    if (!shared.rest || shared.before != before) {
      shared.before = before;
      shared.rest = EndFrom(*graph_, blocks_[last]);
      if (shared.rest) {
        const auto quantize_or_keep = [&](size_t block, Tensor& value) {
          if (block == last) shared.output = value.Clone();
          quantize(block, value);
        };
        BITSTAGE_RETURN_IF_ERROR(RunWith(*graph_, calibration_images_, quantize_or_keep).status());
      }
    }
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor z, shared.rest ? RunWith(*shared.rest, shared.output, quantize)
                                                          : RunWith(*graph_, calibration_images_, quantize));
    const size_t classes = z.Span<float>().size() / labels_.size();
    int64_t right = 0;
    for (size_t n = 0; n < labels_.size(); ++n) {
      right += TopClass(z.Span<float>().subspan(n * classes, classes)) == labels_[n];
    }
    if (progress) progress(++done, total);
    return static_cast<double>(right) / static_cast<double>(labels_.size());
  };
  return GreedyImportance(channels, accuracy);
}

absl::StatusOr<std::vector<ImportantChannels>> ActivationStudy::Important(
    const ActivationScheme& scheme, const std::function<void(int64_t, int64_t)>& progress) {
  if (scheme.ranking == Ranking::kGreedy && greedy_scores_.empty()) {
    BITSTAGE_ASSIGN_OR_RETURN(greedy_scores_, GreedyScores(progress));
  }
  std::mt19937_64 random(scheme.seed);
  std::vector<ImportantChannels> important;
  for (size_t block = 0; block < blocks_.size(); ++block) {
    std::vector<double> scores;
    if (scheme.ranking == Ranking::kGain) {
      scores = MseGains(HistogramsOf(block), scheme.bits, scheme.extra_bits, DqaMode::kLiteral);
    } else if (scheme.ranking == Ranking::kGreedy) {
      scores = greedy_scores_[block];
    } else {
      for (int64_t c = 0; c < ChannelsOf(block); ++c) scores.push_back(static_cast<double>(random()));
    }
    important.push_back(TopChannels(scores, scheme.important_share));
  }
  return important;
}

double ActivationStudy::BitsOf(size_t block, const ActivationScheme& scheme, const ImportantChannels& important) const {
  const auto more = static_cast<double>(std::count(important.begin(), important.end(), 1));
  return static_cast<double>(graph_->value(blocks_[block]).shape.elements()) *
         (scheme.bits + scheme.extra_bits * more / static_cast<double>(ChannelsOf(block)));
}

BlockRule ActivationStudy::StaticRule(size_t block, const ActivationScheme& scheme) const {
  const std::span<const Histogram> histograms = HistogramsOf(block);
  BlockRule rule;
  if (!std::all_of(histograms.begin(), histograms.end(), [](const Histogram& h) { return h.min() >= 0; })) {
    rule.important.resize(histograms.size(), scheme.extra_bits > 0 ? 1 : 0);  // linear outputs: one width
    rule.grid = AffineGrid(histograms, scheme.bits + scheme.extra_bits, scheme.clip);
    return rule;
  }
  if (scheme.extra_bits == 0) {
    rule.important.resize(histograms.size(), 0);
    rule.grid = UnsignedGrid(histograms, scheme.bits, scheme.step, scheme.clip);
    return rule;
  }
  rule.important =
      TopChannels(MseGains(histograms, scheme.bits, scheme.extra_bits, DqaMode::kServed), scheme.important_share);
  rule.grid = ServedDqaGrid(histograms, rule.important, scheme.bits, scheme.extra_bits, scheme.step, scheme.clip);
  return rule;
}

absl::Status ActivationStudy::CorrectMeans(std::vector<BlockRule>& rules) const {
  std::vector<std::vector<double>> wanted(blocks_.size());
  BITSTAGE_RETURN_IF_ERROR(RunWith(*graph_, calibration_images_, [&](size_t block, Tensor& value) {
                             wanted[block] = ChannelMeans(ChannelPlanes(value));
                           }).status());
  return RunWith(*graph_, calibration_images_,
                 [&](size_t block, Tensor& value) {
                   SnapImages(*rules[block].grid, value);
                   const ChannelPlanes planes(value);
                   const std::vector<double> found = ChannelMeans(planes);
                   for (size_t c = 0; c < found.size(); ++c) {
                     rules[block].offset.push_back(static_cast<float>(wanted[block][c] - found[c]));
                   }
                   AddOffsets(planes, rules[block].offset);
                 })
      .status();
}

absl::StatusOr<BlockQuantizer> ActivationStudy::PrepareAdaptive(
    const ActivationScheme& scheme, const std::function<void(int64_t, int64_t)>& progress) const {
  std::vector<ActivationScheme> menu;
  for (int bits = kLeastAdaptiveBits; bits <= kMostAdaptiveBits; ++bits) {
    for (int extra_bits = 0; extra_bits <= (bits < kMostAdaptiveBits ? 1 : 0); ++extra_bits) {
      menu.push_back(scheme);
      menu.back().bits = bits;
      menu.back().extra_bits = extra_bits;
    }
  }
  Shape shape = calibration_images_.shape();
  shape[0] = std::min(shape[0], kAdaptiveImages);
  const Tensor images =
      Tensor::Of(shape, calibration_images_.Span<float>().first(static_cast<size_t>(shape.elements())));
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor reference, RunWith(*graph_, images, [](size_t, Tensor&) {}));

  // One pass of the float network shows every block's output; what is behind it runs once a rule.
  std::vector<std::vector<BlockRule>> rules(blocks_.size());
  std::vector<LayerOptions> options(blocks_.size());
  double elements = 0;
  int64_t done = 0;
  absl::Status status;
  const auto measure = [&](size_t block, const Tensor& output) -> absl::Status {
    const std::optional<Graph> end = EndFrom(*graph_, blocks_[block]);
    for (const ActivationScheme& choice : menu) {
      const BlockRule& rule = rules[block].emplace_back(StaticRule(block, choice));
      const auto quantize = [&](size_t other, Tensor& value) {
        if (other == block) SnapImages(*rule.grid, value);
      };
      BITSTAGE_ASSIGN_OR_RETURN(const Tensor z,
                                end ? RunWith(*end, output, quantize) : RunWith(*graph_, images, quantize));
      options[block].push_back({BitsOf(block, choice, rule.important), MeanSquaredDistance(reference, z)});
      if (progress) progress(++done, static_cast<int64_t>(blocks_.size() * menu.size()));
    }
    elements += static_cast<double>(graph_->value(blocks_[block]).shape.elements());
    return absl::OkStatus();
  };
  BITSTAGE_RETURN_IF_ERROR(RunWith(*graph_, images, [&](size_t block, Tensor& value) {
                             if (status.ok()) status = measure(block, value);
                           }).status());
  BITSTAGE_RETURN_IF_ERROR(status);
  BITSTAGE_ASSIGN_OR_RETURN(const Allocation allocation, AllocateUnderCost(options, scheme.mean_bits * elements));
  BlockQuantizer quantizer;
  quantizer.scheme = scheme;
  quantizer.nominal_bits = allocation.cost / elements;
  for (size_t block = 0; block < blocks_.size(); ++block) {
    quantizer.blocks.push_back(std::move(rules[block][allocation.choice[block]]));
  }
  BITSTAGE_RETURN_IF_ERROR(CorrectMeans(quantizer.blocks));
  return quantizer;
}

absl::StatusOr<BlockQuantizer> ActivationStudy::Prepare(const ActivationScheme& scheme,
                                                        const std::function<void(int64_t, int64_t)>& progress) {
  BlockQuantizer quantizer;
  quantizer.scheme = scheme;
  if (scheme.method == StudyMethod::kFloat) return quantizer;
  if (scheme.method == StudyMethod::kAdaptive) return PrepareAdaptive(scheme, progress);
  quantizer.blocks.resize(blocks_.size());
  std::vector<ImportantChannels> important;
  if (scheme.method == StudyMethod::kDqa) {
    BITSTAGE_ASSIGN_OR_RETURN(important, Important(scheme, progress));
  }
  std::mt19937 random(1);
  std::uniform_real_distribution<float> half_step(-0.5f, 0.5f);
  double bits = 0;
  double elements = 0;
  for (size_t block = 0; block < blocks_.size(); ++block) {
    BlockRule& rule = quantizer.blocks[block];
    const Shape& shape = graph_->value(blocks_[block]).shape;
    if (scheme.method == StudyMethod::kUnsigned || scheme.method == StudyMethod::kServed) {
      rule = StaticRule(block, scheme);
    } else {
      rule.important =
          important.empty() ? ImportantChannels(static_cast<size_t>(ChannelsOf(block)), 0) : important[block];
    }
    if (scheme.method == StudyMethod::kNoisy) {
      rule.noise.resize(static_cast<size_t>(shape.elements()));
      for (float& noise : rule.noise) noise = half_step(random);
    }
    bits += BitsOf(block, scheme, rule.important);
    elements += static_cast<double>(shape.elements());
  }
  quantizer.nominal_bits = bits / elements;
  return quantizer;
}

absl::StatusOr<Tensor> ActivationStudy::Run(const Tensor& images, const BlockQuantizer& quantizer) const {
  const ActivationScheme& scheme = quantizer.scheme;
  return RunWith(*graph_, images, [&](size_t block, Tensor& value) {
    if (quantizer.blocks.empty()) return;
    const BlockRule& rule = quantizer.blocks[block];
    const ChannelPlanes planes(value);
    if (rule.grid) {
      SnapImages(*rule.grid, value);
      return AddOffsets(planes, rule.offset);
    }
    for (int64_t c = 0; c < planes.channels; ++c) {
      const int width = scheme.bits + (rule.important[static_cast<size_t>(c)] != 0 ? scheme.extra_bits : 0);
      if (rule.noise.empty())
        QuantizeOnline(planes, c, width);
      else
        QuantizeNoisily(planes, c, width, rule.noise);
    }
  });
}

}  // namespace bitstage
