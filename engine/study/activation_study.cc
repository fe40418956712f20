#include "engine/study/activation_study.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/quant/dqa_importance.h"
#include "engine/reference/float_executor.h"
#include "engine/reference/float_ops.h"
#include "engine/study/block_outputs.h"

namespace bitstage {
namespace {

constexpr int kRankingBits = 3;  // the paper ranks at 3 bits and keeps the ranking for 4 and 5

// Channel c of image n in a tensor [images] x C x inner.
struct Planes {
  explicit Planes(Tensor& value)
      : data(value.Span<float>()),
        images(value.shape()[0]),
        channels(value.shape().rank() > 1 ? value.shape()[1] : 1),
        inner(value.shape().elements() / (images * channels)) {}
  [[nodiscard]] std::span<float> Of(int64_t n, int64_t c) const {
    return data.subspan(static_cast<size_t>((n * channels + c) * inner), static_cast<size_t>(inner));
  }
  [[nodiscard]] double MaxAbs(int64_t c) const {
    float largest = 0;
    for (int64_t n = 0; n < images; ++n) {
      for (const float x : Of(n, c)) largest = std::max(largest, std::abs(x));
    }
    return largest;
  }

  std::span<float> data;
  int64_t images, channels, inner;
};

// The paper's quantizer with the scale of this batch: `extra` more bits.
void QuantizeOnline(const Planes& planes, int64_t c, int bits) {
  const double step = DqaStep(planes.MaxAbs(c), bits);
  for (int64_t n = 0; n < planes.images; ++n) {
    for (float& x : planes.Of(n, c)) x = static_cast<float>(step * UniformCode(x, step, Levels::Signed(bits)));
  }
}

// NoisyQuant: x̂ = Q(x + noise) − noise, the noise fixed once and within half a step.
void QuantizeNoisily(const Planes& planes, int64_t c, int bits, std::span<const float> noise) {
  const double step = DqaStep(planes.MaxAbs(c), bits);
  for (int64_t n = 0; n < planes.images; ++n) {
    const std::span<float> plane = planes.Of(n, c);
    for (size_t i = 0; i < plane.size(); ++i) {
      const double shift = step * noise[static_cast<size_t>(c * planes.inner) + i];
      plane[i] = static_cast<float>(step * UniformCode(plane[i] + shift, step, Levels::Signed(bits)) - shift);
    }
  }
}

// The last block of which a channel is quantized; 0 where none is.
size_t LastWithFlags(const QuantizedChannels& quantized) {
  size_t last = 0;
  for (size_t block = 0; block < quantized.size(); ++block) {
    if (std::find(quantized[block].begin(), quantized[block].end(), 1) != quantized[block].end()) last = block;
  }
  return last;
}

// The end of `graph` that computes its outputs from `value` alone, with the same ids; none where it needs more.
std::optional<Graph> EndFrom(const Graph& graph, ValueId value) {
  Graph end = graph.Clone();
  std::vector<bool> known(graph.values.size(), false);
  known[static_cast<size_t>(value)] = true;
  const auto maker = std::find_if(end.nodes.begin(), end.nodes.end(), [&](const Node& n) { return n.output == value; });
  if (maker == end.nodes.end()) return std::nullopt;
  end.nodes.erase(end.nodes.begin(), maker + 1);
  end.inputs = {value};
  const auto is_known = [&](ValueId id) { return static_cast<bool>(known[static_cast<size_t>(id)]); };
  for (const Node& node : end.nodes) {
    if (!std::all_of(node.inputs.begin(), node.inputs.end(), is_known)) return std::nullopt;
    known[static_cast<size_t>(node.output)] = true;
  }
  if (!std::all_of(end.outputs.begin(), end.outputs.end(), is_known)) return std::nullopt;
  return end;
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
      const Planes planes(value);
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
  if (scheme.method == StudyMethod::kDqa && scheme.ranking == Ranking::kGreedy && greedy_scores_.empty()) {
    BITSTAGE_ASSIGN_OR_RETURN(greedy_scores_, GreedyScores(progress));
  }
  std::mt19937_64 random(scheme.seed);
  std::vector<ImportantChannels> important;
  for (size_t block = 0; block < blocks_.size(); ++block) {
    std::vector<double> scores;
    if (scheme.method == StudyMethod::kServed || scheme.ranking == Ranking::kGain) {
      scores = MseGains(HistogramsOf(block), scheme.bits, scheme.extra_bits,
                        scheme.method == StudyMethod::kServed ? DqaMode::kServed : DqaMode::kLiteral);
    } else if (scheme.ranking == Ranking::kGreedy) {
      scores = greedy_scores_[block];
    } else {
      for (int64_t c = 0; c < ChannelsOf(block); ++c) scores.push_back(static_cast<double>(random()));
    }
    important.push_back(TopChannels(scores, scheme.important_share));
  }
  return important;
}

absl::StatusOr<BlockQuantizer> ActivationStudy::Prepare(const ActivationScheme& scheme,
                                                        const std::function<void(int64_t, int64_t)>& progress) {
  BlockQuantizer quantizer;
  quantizer.scheme = scheme;
  if (scheme.method == StudyMethod::kFloat) return quantizer;
  quantizer.blocks.resize(blocks_.size());
  const bool split = scheme.method == StudyMethod::kDqa || scheme.method == StudyMethod::kServed;
  std::vector<ImportantChannels> important;
  if (split) {
    BITSTAGE_ASSIGN_OR_RETURN(important, Important(scheme, progress));
  }
  std::mt19937 random(1);
  std::uniform_real_distribution<float> half_step(-0.5f, 0.5f);
  double bits = 0;
  double elements = 0;
  for (size_t block = 0; block < blocks_.size(); ++block) {
    BlockRule& rule = quantizer.blocks[block];
    const Shape& shape = graph_->value(blocks_[block]).shape;
    rule.important = split ? important[block] : ImportantChannels(static_cast<size_t>(ChannelsOf(block)), 0);
    if (scheme.method == StudyMethod::kUnsigned) {
      rule.grid = UnsignedGrid(HistogramsOf(block), scheme.bits, scheme.step, scheme.clip);
    } else if (scheme.method == StudyMethod::kServed) {
      rule.grid = ServedDqaGrid(HistogramsOf(block), important[block], scheme.bits, scheme.extra_bits, scheme.step,
                                scheme.clip);
    } else if (scheme.method == StudyMethod::kNoisy) {
      rule.noise.resize(static_cast<size_t>(shape.elements()));
      for (float& noise : rule.noise) noise = half_step(random);
    }
    const double inner = static_cast<double>(shape.elements()) / static_cast<double>(ChannelsOf(block));
    for (const uint8_t is_important : rule.important) {
      bits += inner * (scheme.bits + (is_important != 0 ? scheme.extra_bits : 0));
      elements += inner;
    }
  }
  quantizer.nominal_bits = bits / elements;
  return quantizer;
}

absl::StatusOr<Tensor> ActivationStudy::Run(const Tensor& images, const BlockQuantizer& quantizer) const {
  const ActivationScheme& scheme = quantizer.scheme;
  return RunWith(*graph_, images, [&](size_t block, Tensor& value) {
    if (quantizer.blocks.empty()) return;
    const BlockRule& rule = quantizer.blocks[block];
    const Planes planes(value);
    if (rule.grid) {
      const Shape& shape = graph_->value(blocks_[block]).shape;
      const auto elements = static_cast<size_t>(shape.elements());
      for (int64_t n = 0; n < planes.images; ++n) {
        SnapToGrid(*rule.grid, shape, planes.data.subspan(static_cast<size_t>(n) * elements, elements));
      }
      return;
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
