#include <torch/csrc/autograd/grad_mode.h>

#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/compression/calibration.h"
#include "engine/compression/grid_assignment.h"
#include "engine/quant/weights.h"
#include "engine/training/movement.h"
#include "engine/training/student_impl.h"

namespace bitstage {
namespace {

constexpr int64_t kInitialBatch = 32;  // images at once while moments are measured

at::Tensor Trained(at::Tensor t) { return t.detach().requires_grad_(true); }

at::Tensor FromSpan(std::span<const float> values, const Shape& shape) {
  at::Tensor t = at::empty(std::vector<int64_t>(shape.begin(), shape.end()), at::kFloat);
  std::copy(values.begin(), values.end(), Values(t).begin());
  return t;
}

}  // namespace

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
  } else if (layer.precision.bits < 8) {
    std::vector<float> scales =
        UniformWeights(shape, weights, layer.precision.bits, ScaleKind::kChannel, WeightClip::kMse).scale;
    for (float& scale : scales) scale = std::log(scale);
    layer.log_scales = Trained(FromSpan(scales, Shape{shape[0]}));
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
    if (layer.log_scales.defined()) parameters_.push_back({name + "/log_scales", layer.log_scales, 0.1, false});
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
  const bool is_uniform = options_.codebook == Codebook::kUniform;
  const WeightRecipe weights = {.method = is_uniform ? WeightMethod::kUniform : WeightMethod::kSyq,
                                .bits = options_.weight_bits,
                                .only_inner = true,
                                .codebook = options_.codebook,
                                .scale = is_uniform ? ScaleKind::kChannel : options_.subgroups};
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

}  // namespace bitstage
