#include <torch/csrc/autograd/grad_mode.h>

#include <cmath>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/training/student_impl.h"

namespace bitstage {

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

}  // namespace bitstage
