#include "engine/training/student.h"

#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/compression/calibration.h"
#include "engine/compression/grid_assignment.h"
#include "engine/compression/precision.h"
#include "engine/training/movement.h"

namespace bitstage {
namespace {

constexpr int64_t kInitialBatch = 32;  // images at once while moments are measured

std::span<float> Values(const at::Tensor& t) { return {t.data_ptr<float>(), static_cast<size_t>(t.numel())}; }

at::Tensor Trained(at::Tensor t) { return t.detach().requires_grad_(true); }

at::Tensor FromSpan(std::span<const float> values, const Shape& shape) {
  at::Tensor t = at::empty(std::vector<int64_t>(shape.begin(), shape.end()), at::kFloat);
  std::copy(values.begin(), values.end(), Values(t).begin());
  return t;
}

// The grid that a group of values shares: a step that is learned, and what is not.
struct StepGroup {
  at::Tensor log_step;
  int zero_point = 0;
  int bits = 8;
  bool is_inner = false;  // its width follows the recipe
  bool learns = true;
};

struct Layer {
  size_t node = 0;
  LayerPrecision precision;
  bool normalise = false;
  at::Tensor weights, alphas, gamma, beta;  // alphas: SYQ only
  RunningMoments running;
  FoldedWeights folded;
  TransformSettings settings;  // as of the last folding
};

bool IsDepthwise(const Graph& graph, const Node& node) {
  const auto* conv = std::get_if<Conv>(&node.op);
  return conv != nullptr && conv->groups > 1 && graph.constant(conv->weights).shape()[1] == 1;
}

std::optional<Clamp> ClampOf(const Op& op) {
  if (const auto* conv = std::get_if<Conv>(&op)) return conv->clamp;
  if (const auto* fc = std::get_if<FullyConnected>(&op)) return fc->clamp;
  return std::get<Binary>(op).clamp;
}

// Channel means and mean squares of a layer's sums over several batches.
struct SumMoments {
  std::vector<double> sum, square;
  double count = 0;
  void Add(const at::Tensor& sums) {
    const at::Tensor rows = sums.dim() == 4 ? sums.permute({0, 2, 3, 1}).reshape({-1, sums.size(1)}) : sums;
    const at::Tensor wide = rows.to(at::kDouble);
    const at::Tensor s = wide.sum(0);
    const at::Tensor q = wide.square().sum(0);
    sum.resize(static_cast<size_t>(s.numel()));
    square.resize(sum.size());
    for (size_t c = 0; c < sum.size(); ++c) {
      sum[c] += s.data_ptr<double>()[c];
      square[c] += q.data_ptr<double>()[c];
    }
    count += static_cast<double>(wide.size(0));
  }
  [[nodiscard]] double Mean(size_t c) const { return sum[c] / count; }
  [[nodiscard]] double Deviation(size_t c) const {
    return std::sqrt(std::max(0.0, square[c] / count - Mean(c) * Mean(c)));
  }
};

}  // namespace

class Student::Impl {
 public:
  Impl(Graph graph, const TrainingOptions& options) : options_(options), graph_(std::move(graph)) {}

  absl::Status Initialise(const Graph& teacher, const Tensor& images,
                          const std::function<void(int64_t, int64_t)>& progress);
  at::Tensor Forward(const at::Tensor& images, NormMode mode);
  void SetActivationBits(int bits);
  Graph Export();
  std::vector<CheckpointArray> Save() const;
  absl::Status Load(const std::map<std::string, const std::vector<float>*>& arrays);
  void Constrain();
  void SetMomentum(double share) {
    for (Layer& layer : layers_) layer.running.momentum = share;
  }
  std::vector<Parameter>& parameters() { return parameters_; }

 private:
  void MakeGroups(const Graph& narrowest);
  void MakeLayer(size_t index, size_t node, const LayerPrecision& precision, const SumMoments& moments);
  void NameParameters();
  // Named arrays that are not trained: visit(name, get, set).
  template <typename Visit>
  void ForEachState(Visit visit);

  [[nodiscard]] bool IsCoded(ValueId id) const { return group_of_[static_cast<size_t>(id)] >= 0; }
  [[nodiscard]] const StepGroup& GroupOf(ValueId id) const {
    return groups_[static_cast<size_t>(group_of_[static_cast<size_t>(id)])];
  }
  [[nodiscard]] at::Tensor Real(ValueId id, const at::Tensor& signal) const {
    if (!IsCoded(id)) return signal;
    const StepGroup& group = GroupOf(id);
    return (signal - group.zero_point) * StepOf(group.log_step);
  }
  [[nodiscard]] at::Tensor LogStepOf(ValueId id) const { return IsCoded(id) ? GroupOf(id).log_step : at::Tensor(); }
  [[nodiscard]] OutputSide OutputOf(ValueId id, const std::optional<Clamp>& clamp) const;
  [[nodiscard]] at::Tensor Codes(ValueId id, const at::Tensor& images) const;
  // The folded weights as of now, and with them the layer's settings.
  at::Tensor Fold(Layer& layer, const Node& node) const;
  at::Tensor RunLayer(Layer& layer, const Node& node, const at::Tensor& x, const at::Tensor& residual, NormMode mode);
  at::Tensor RunAdd(const Node& node, const at::Tensor& a, const at::Tensor& b) const;
  at::Tensor RunPool(const Node& node, const at::Tensor& x) const;
  [[nodiscard]] TransformSettings SettingsFor(ValueId output, const std::optional<Clamp>& clamp) const;

  TrainingOptions options_;
  Graph graph_;                // with the grids' shape; steps are in groups_
  std::vector<int> group_of_;  // by ValueId; −1: float
  std::vector<StepGroup> groups_;
  std::vector<Layer> layers_;
  std::vector<int> layer_of_;  // by node; −1: none
  std::vector<Parameter> parameters_;
};

void Student::Impl::MakeGroups(const Graph& narrowest) {
  std::vector<int> parent(graph_.values.size());
  std::iota(parent.begin(), parent.end(), 0);
  const auto find = [&](ValueId id) {
    while (parent[static_cast<size_t>(id)] != id) id = parent[static_cast<size_t>(id)];
    return id;
  };
  for (const Node& node : graph_.nodes) {
    if (!IsMovement(node.op) || !graph_.value(node.output).grid) continue;
    for (const ValueId input : node.inputs) parent[static_cast<size_t>(find(input))] = find(node.output);
  }
  group_of_.assign(graph_.values.size(), -1);
  std::map<int, int> group_of_root;
  for (size_t v = 0; v < graph_.values.size(); ++v) {
    const std::optional<Grid>& grid = graph_.values[v].grid;
    if (!grid) continue;
    const auto [entry, is_new] =
        group_of_root.try_emplace(find(static_cast<ValueId>(v)), static_cast<int>(groups_.size()));
    group_of_[v] = entry->second;
    if (!is_new) continue;
    StepGroup group;
    group.zero_point = grid->zero_point;
    group.bits = grid->bits[0];
    group.is_inner = narrowest.values[v].grid->bits[0] < 8;
    group.log_step = at::full({1}, std::log(grid->step[0]), at::kFloat);
    groups_.push_back(std::move(group));
  }
  // The step of the input is the preprocessing's, not learned.
  groups_[static_cast<size_t>(group_of_[static_cast<size_t>(graph_.inputs[0])])].learns = false;
  for (StepGroup& group : groups_) {
    group.learns = group.learns && options_.clips != ClipTraining::kFixed;
    if (group.learns) group.log_step = Trained(group.log_step);
  }
}

void Student::Impl::MakeLayer(size_t index, size_t node, const LayerPrecision& precision, const SumMoments& moments) {
  const Node& at = graph_.nodes[node];
  const Constant& constant = graph_.constant(WeightsOf(at.op));
  const Shape& shape = constant.shape();
  Layer layer;
  layer.node = node;
  layer.precision = precision;
  if (IsDepthwise(graph_, at)) layer.precision = LayerPrecision{};
  const bool is_last = index + 1 == WeightedNodes(graph_).size();
  layer.normalise = options_.norm == NormKind::kBatch && !is_last;

  // Output channels of one size, that of weights at a usual start: a layer's threshold and alphas then fit all of them,
  // and one learning rate all layers. What is divided out returns as γ.
  const auto outputs = static_cast<size_t>(shape[0]);
  const auto per_output = static_cast<size_t>(shape.InnerElements(0));
  std::vector<float> weights(constant.values->Span<float>().begin(), constant.values->Span<float>().end());
  std::vector<float> gamma(outputs, 1.0f);
  const std::span<const float> bias = graph_.constant(BiasOf(at.op)).values->Span<float>();
  std::vector<float> beta(bias.begin(), bias.end());
  const bool is_syq = layer.precision.codebook != Codebook::kUniform;
  if (layer.normalise || is_syq) {
    const double size = 1 / std::sqrt(static_cast<double>(per_output));
    for (size_t o = 0; o < outputs; ++o) {
      const std::span<float> row(weights.data() + o * per_output, per_output);
      double square = 0;
      for (const float w : row) square += static_cast<double>(w) * w;
      const double rms = std::sqrt(square / static_cast<double>(per_output));
      if (rms > 0) {
        for (float& w : row) w = static_cast<float>(w * size / rms);
      }
      gamma[o] = static_cast<float>(layer.normalise ? moments.Deviation(o) : rms / size);
      if (layer.normalise) beta[o] = static_cast<float>(moments.Mean(o));
    }
  }
  layer.weights = Trained(FromSpan(weights, shape));
  layer.gamma = FromSpan(gamma, Shape{shape[0]});
  layer.beta = FromSpan(beta, Shape{shape[0]});
  if (layer.normalise || is_syq) layer.gamma = Trained(layer.gamma);
  layer.beta = Trained(layer.beta);
  if (is_syq) {
    const SyqSettings settings = SettingsOf(options_);
    const std::vector<int8_t> codes = SyqCodes(weights, Threshold(weights, settings), precision.codebook);
    const std::vector<double> alphas = SyqLeastSquaresAlphas(shape, precision.scale, weights, codes);
    std::vector<float> start(alphas.begin(), alphas.end());
    for (float& alpha : start) alpha = std::max(alpha, 1e-6f);
    layer.alphas = Trained(FromSpan(start, Shape{static_cast<int64_t>(start.size())}));
  }
  layer.running.mean.assign(outputs, 0);
  layer.running.variance.assign(outputs, 1);
  layer_of_[node] = static_cast<int>(layers_.size());
  layers_.push_back(std::move(layer));
}

void Student::Impl::NameParameters() {
  for (Layer& layer : layers_) {
    const std::string& name = graph_.nodes[layer.node].name;
    parameters_.push_back({name + "/weights", layer.weights, 1, true});
    // The scales of a layer move together with the square root of its size: a tenth of the rate is as fast.
    if (layer.alphas.defined()) parameters_.push_back({name + "/alphas", layer.alphas, 0.1, false});
    if (layer.gamma.requires_grad()) parameters_.push_back({name + "/gamma", layer.gamma, 1, false});
    parameters_.push_back({name + "/beta", layer.beta, 1, false});
  }
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (groups_[g].learns) parameters_.push_back({absl::StrCat("step/", g), groups_[g].log_step, 1, false});
  }
}

absl::Status Student::Impl::Initialise(const Graph& teacher, const Tensor& images,
                                       const std::function<void(int64_t, int64_t)>& progress) {
  BITSTAGE_ASSIGN_OR_RETURN(const Calibration calibration, Calibrate(teacher, images, nullptr, progress));
  const int bits = options_.activation_bits.back();
  ActivationRecipe recipe{.bits = bits, .code_bits = bits};
  BITSTAGE_RETURN_IF_ERROR(AssignGrids(graph_, calibration, recipe));
  const Graph narrowest = graph_.Clone();
  if (options_.activation_bits.front() != options_.activation_bits.back()) {
    graph_ = teacher.Clone();
    recipe.bits = recipe.code_bits = options_.activation_bits.front();
    BITSTAGE_RETURN_IF_ERROR(AssignGrids(graph_, calibration, recipe));
  }
  MakeGroups(narrowest);

  const std::vector<at::Tensor> constants = TeacherConstants(teacher);
  const at::Tensor all = FromSpan(images.Span<float>(), images.shape());
  std::vector<SumMoments> moments(teacher.nodes.size());
  for (int64_t begin = 0; begin < all.size(0); begin += kInitialBatch) {
    TeacherLogits(teacher, constants, all.slice(0, begin, std::min(begin + kInitialBatch, all.size(0))),
                  [&](size_t node, const at::Tensor& sums) { moments[node].Add(sums); });
  }
  WeightRecipe weights{.method = WeightMethod::kSyq, .codebook = options_.codebook, .scale = options_.subgroups};
  const std::vector<LayerPrecision> precision = FixedPrecision(graph_, weights);
  const std::vector<size_t> nodes = WeightedNodes(graph_);
  layer_of_.assign(graph_.nodes.size(), -1);
  for (size_t i = 0; i < nodes.size(); ++i) MakeLayer(i, nodes[i], precision[i], moments[nodes[i]]);
  NameParameters();

  // Running moments: the mean over batches, each normalised by its own.
  const torch::autograd::AutoGradMode no_gradients(false);
  int64_t batches = 0;
  for (int64_t begin = 0; begin < all.size(0); begin += kInitialBatch) {
    SetMomentum(1.0 / static_cast<double>(++batches));
    Forward(all.slice(0, begin, std::min(begin + kInitialBatch, all.size(0))), NormMode::kBatch);
  }
  SetMomentum(RunningMoments().momentum);
  return absl::OkStatus();
}

OutputSide Student::Impl::OutputOf(ValueId id, const std::optional<Clamp>& clamp) const {
  OutputSide output;
  output.clamp = clamp;
  if (!IsCoded(id)) return output;
  const StepGroup& group = GroupOf(id);
  output.to_codes = true;
  output.zero_point = group.zero_point;
  output.bits = group.bits;
  return output;
}

TransformSettings Student::Impl::SettingsFor(ValueId output, const std::optional<Clamp>& clamp) const {
  TransformSettings settings;
  settings.output = OutputOf(output, clamp);
  settings.step_gradient =
      options_.clips == ClipTraining::kPact ? StepGradient::kLearnClip : StepGradient::kLearnRounding;
  settings.learn_step = IsCoded(output) && GroupOf(output).learns;
  return settings;
}

// As Grid::Symbol.
at::Tensor Student::Impl::Codes(ValueId id, const at::Tensor& images) const {
  if (!IsCoded(id)) return images;
  const StepGroup& group = GroupOf(id);
  return at::clamp(images / StepOf(group.log_step) + group.zero_point, 0, (1 << group.bits) - 1).round();
}

at::Tensor Student::Impl::Fold(Layer& layer, const Node& node) const {
  at::Tensor weights = layer.alphas.defined()
                           ? FoldSyq(layer.weights, layer.alphas, SettingsOf(options_), &layer.folded)
                           : FoldUniform(layer.weights, &layer.folded);
  layer.settings = SettingsFor(node.output, ClampOf(node.op));
  layer.settings.normalise = layer.normalise;
  layer.settings.input_step = StepOf(GroupOf(node.inputs[0]).log_step);
  layer.settings.unit = layer.folded.scale;
  for (double& unit : layer.settings.unit) unit *= layer.settings.input_step;
  if (node.inputs.size() > 1) {
    layer.settings.residual_step = StepOf(GroupOf(node.inputs[1]).log_step);
    layer.settings.residual_zero = GroupOf(node.inputs[1]).zero_point;
  }
  return weights;
}

at::Tensor Student::Impl::RunLayer(Layer& layer, const Node& node, const at::Tensor& x, const at::Tensor& residual,
                                   NormMode mode) {
  const at::Tensor weights = Fold(layer, node);
  const int zero_point = GroupOf(node.inputs[0]).zero_point;
  const at::Tensor acc = WeightedSums(node, zero_point == 0 ? x : x - zero_point, weights, at::Tensor());
  layer.settings.mode = mode;
  return TransformOutput(acc, layer.gamma, layer.beta, residual, LogStepOf(node.output), layer.settings,
                         &layer.running);
}

at::Tensor Student::Impl::RunAdd(const Node& node, const at::Tensor& a, const at::Tensor& b) const {
  const std::optional<Clamp> clamp = ClampOf(node.op);
  if (!IsCoded(node.output) || !IsCoded(node.inputs[0]) || !IsCoded(node.inputs[1])) {
    TransformSettings settings = SettingsFor(node.output, clamp);
    return Requantize(Real(node.inputs[0], a) + Real(node.inputs[1], b), at::Tensor(), LogStepOf(node.output),
                      IsCoded(node.output) ? 1 / StepOf(GroupOf(node.output).log_step) : 1.0f, 0,
                      static_cast<float>(settings.output.zero_point), settings);
  }
  const StepGroup& out = GroupOf(node.output);
  const StepGroup& left = GroupOf(node.inputs[0]);
  const StepGroup& right = GroupOf(node.inputs[1]);
  const double step = StepOf(out.log_step);
  const double mult_a = StepOf(left.log_step) / step;
  const double mult_b = StepOf(right.log_step) / step;
  const double add = out.zero_point - mult_a * left.zero_point - mult_b * right.zero_point;
  // Requantize takes its second operand as the residual, which is added last, as the kernels add b.
  return Requantize(a, b, out.log_step, static_cast<float>(mult_a), static_cast<float>(mult_b), static_cast<float>(add),
                    SettingsFor(node.output, clamp));
}

at::Tensor Student::Impl::RunPool(const Node& node, const at::Tensor& x) const {
  const auto pixels = static_cast<float>(WindowPixels(graph_, node));
  const ValueId input = node.inputs[0];
  if (!IsCoded(input) || !IsCoded(node.output)) return PoolSums(node.op, Real(input, x)) / pixels;
  const StepGroup& in = GroupOf(input);
  const StepGroup& out = GroupOf(node.output);
  const at::Tensor sums = PoolSums(node.op, in.zero_point == 0 ? x : x - in.zero_point);
  const double step = StepOf(out.log_step);
  return Requantize(sums, at::Tensor(), out.log_step, static_cast<float>(StepOf(in.log_step) / step) / pixels, 0,
                    static_cast<float>(out.zero_point), SettingsFor(node.output, std::nullopt));
}

at::Tensor Student::Impl::Forward(const at::Tensor& images, NormMode mode) {
  std::vector<at::Tensor> values(graph_.values.size());
  const auto at = [&](ValueId id) -> at::Tensor& { return values[static_cast<size_t>(id)]; };
  at(graph_.inputs[0]) = Codes(graph_.inputs[0], images);
  const ValueId features = FeatureValue(graph_);
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    const Node& node = graph_.nodes[n];
    if (layer_of_[n] >= 0) {
      at(node.output) = RunLayer(layers_[static_cast<size_t>(layer_of_[n])], node, at(node.inputs[0]),
                                 node.inputs.size() > 1 ? at(node.inputs[1]) : at::Tensor(), mode);
    } else if (std::holds_alternative<Binary>(node.op)) {
      at(node.output) = RunAdd(node, at(node.inputs[0]), at(node.inputs[1]));
    } else if (!IsMovement(node.op)) {
      at(node.output) = RunPool(node, at(node.inputs[0]));
    } else {
      const bool coded = IsCoded(node.output);
      std::vector<at::Tensor> inputs;
      for (const ValueId id : node.inputs) inputs.push_back(coded ? at(id) : Real(id, at(id)));
      at(node.output) = RunMovement(graph_, node, inputs, coded ? GroupOf(node.output).zero_point : 0,
                                    coded ? 0 : -std::numeric_limits<double>::infinity());
    }
    if (node.output == features) break;
  }
  return AsLogits(at(features));
}

void Student::Impl::SetActivationBits(int bits) {
  for (StepGroup& group : groups_) {
    if (!group.is_inner || group.bits == bits) continue;
    const double ratio = static_cast<double>((1 << group.bits) - 1) / ((1 << bits) - 1);
    group.log_step.data_ptr<float>()[0] += static_cast<float>(std::log(ratio));
    group.zero_point = static_cast<int>(std::nearbyint(group.zero_point / ratio));
    group.bits = bits;
  }
}

void Student::Impl::Constrain() {
  for (Layer& layer : layers_) {
    if (!layer.alphas.defined()) continue;
    for (float& alpha : Values(layer.alphas)) alpha = std::max(alpha, 1e-6f);
  }
}

Graph Student::Impl::Export() {
  const torch::autograd::AutoGradMode no_gradients(false);
  Graph graph = graph_.Clone();
  for (size_t v = 0; v < graph.values.size(); ++v) {
    if (group_of_[v] < 0) continue;
    const StepGroup& group = GroupOf(static_cast<ValueId>(v));
    graph.values[v].grid = Grid{.zero_point = group.zero_point,
                                .step = {StepOf(group.log_step)},
                                .bits = {static_cast<uint8_t>(group.bits)},
                                .shift = {0}};
  }
  for (Layer& layer : layers_) {
    const Node& node = graph.nodes[layer.node];
    Fold(layer, node);
    const ServedLayer served =
        Served(layer.settings, Values(layer.gamma), Values(layer.beta), layer.running.mean, layer.running.variance);
    Constant& constant = graph.constant(WeightsOf(node.op));
    WeightCodes codes;
    codes.shape = constant.shape();
    codes.codebook = layer.precision.codebook;
    codes.bits = layer.precision.bits;
    codes.codes = layer.folded.codes;
    codes.kind = ScaleKind::kChannel;
    if (layer.folded.alpha.size() > 1) {
      codes.kind = layer.precision.scale;
      codes.alpha = layer.folded.alpha;
    }
    const auto per_output = static_cast<size_t>(codes.shape.InnerElements(0));
    for (size_t o = 0; o < served.scale.size(); ++o) {
      codes.scale.push_back(std::abs(served.scale[o]));
      if (served.scale[o] > 0) continue;
      for (size_t i = o * per_output; i < (o + 1) * per_output; ++i)
        codes.codes[i] = static_cast<int8_t>(-codes.codes[i]);
    }
    constant.values.reset();
    constant.codes = std::move(codes);
    const std::span<float> bias = graph.constant(BiasOf(node.op)).values->Span<float>();
    std::copy(served.bias.begin(), served.bias.end(), bias.begin());
  }
  return graph;
}

template <typename Visit>
void Student::Impl::ForEachState(Visit visit) {
  for (Layer& layer : layers_) {
    const std::string& name = graph_.nodes[layer.node].name;
    visit(name + "/mean", layer.running.mean);
    visit(name + "/variance", layer.running.variance);
  }
  for (size_t g = 0; g < groups_.size(); ++g) {
    std::vector<double> shape = {static_cast<double>(groups_[g].zero_point), static_cast<double>(groups_[g].bits)};
    visit(absl::StrCat("grid/", g), shape);
    groups_[g].zero_point = static_cast<int>(std::clamp(shape[0], 0.0, 255.0));
    groups_[g].bits = static_cast<int>(std::clamp(shape[1], 1.0, 8.0));
  }
}

std::vector<CheckpointArray> Student::Impl::Save() const {
  std::vector<CheckpointArray> arrays;
  for (const Parameter& parameter : parameters_) {
    arrays.push_back({parameter.name, {Values(parameter.value).begin(), Values(parameter.value).end()}});
  }
  const_cast<Impl*>(this)->ForEachState([&](const std::string& name, const std::vector<double>& values) {
    arrays.push_back({name, {values.begin(), values.end()}});
  });
  return arrays;
}

absl::Status Student::Impl::Load(const std::map<std::string, const std::vector<float>*>& arrays) {
  const auto find = [&](const std::string& name, size_t size) -> absl::StatusOr<const std::vector<float>*> {
    const auto found = arrays.find(name);
    if (found == arrays.end()) return absl::InvalidArgumentError(absl::StrCat("array '", name, "' is missing"));
    if (found->second->size() != size) {
      return absl::InvalidArgumentError(
          absl::StrCat("array '", name, "' has ", found->second->size(), " values, expected ", size));
    }
    for (const float x : *found->second) {
      if (!std::isfinite(x)) return absl::InvalidArgumentError(absl::StrCat("array '", name, "' holds ", x));
    }
    return found->second;
  };
  // All are looked at before any is taken.
  absl::Status status;
  const auto check = [&](const std::string& name, size_t size) {
    if (status.ok()) status = find(name, size).status();
  };
  for (const Parameter& parameter : parameters_) check(parameter.name, static_cast<size_t>(parameter.value.numel()));
  ForEachState([&](const std::string& name, const std::vector<double>& values) { check(name, values.size()); });
  BITSTAGE_RETURN_IF_ERROR(status);
  for (Parameter& parameter : parameters_) {
    const std::vector<float>& from = *arrays.at(parameter.name);
    std::copy(from.begin(), from.end(), Values(parameter.value).begin());
  }
  ForEachState([&](const std::string& name, std::vector<double>& values) {
    values.assign(arrays.at(name)->begin(), arrays.at(name)->end());
  });
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Student>> Student::Create(const Graph& graph, const Tensor& images,
                                                         const TrainingOptions& options,
                                                         const std::function<void(int64_t, int64_t)>& progress) {
  BITSTAGE_RETURN_IF_ERROR(CheckTrainable(graph));
  auto impl = std::make_unique<Impl>(graph.Clone(), options);
  BITSTAGE_RETURN_IF_ERROR(impl->Initialise(graph, images, progress));
  return std::unique_ptr<Student>(new Student(std::move(impl)));
}

Student::Student(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Student::~Student() = default;
at::Tensor Student::Forward(const at::Tensor& images, NormMode mode) { return impl_->Forward(images, mode); }
void Student::SetActivationBits(int bits) { impl_->SetActivationBits(bits); }
void Student::SetMomentum(double share) { impl_->SetMomentum(share); }
std::vector<Parameter>& Student::parameters() { return impl_->parameters(); }
void Student::Constrain() { impl_->Constrain(); }
Graph Student::Export() { return impl_->Export(); }
std::vector<CheckpointArray> Student::Save() const { return impl_->Save(); }
absl::Status Student::Load(const std::map<std::string, const std::vector<float>*>& arrays) {
  return impl_->Load(arrays);
}

}  // namespace bitstage
