#include "engine/training/student.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "engine/base/status_macros.h"
#include "engine/training/movement.h"
#include "engine/training/student_impl.h"

namespace bitstage {
namespace {

std::optional<Clamp> ClampOf(const Op& op) {
  if (const auto* conv = std::get_if<Conv>(&op)) return conv->clamp;
  if (const auto* fc = std::get_if<FullyConnected>(&op)) return fc->clamp;
  return std::get<Binary>(op).clamp;
}

}  // namespace

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
  at::Tensor weights =
      layer.alphas.defined()       ? FoldSyq(layer.weights, layer.alphas, SettingsOf(options_), &layer.folded)
      : layer.log_scales.defined() ? FoldLearned(layer.weights, layer.log_scales, layer.precision.bits, &layer.folded)
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
