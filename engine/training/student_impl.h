// The inside of a Student (student.h): its layers, the grids it learns, and where they are kept. Shared by student.cc
// (the forward pass), student_start.cc (how it begins) and student_state.cc (what it leaves: graphs and checkpoints).
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "engine/compression/precision.h"
#include "engine/training/student.h"
#include "engine/training/torch_tensors.h"
#include "engine/training/weight_folding.h"

namespace bitstage {

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
  at::Tensor weights, gamma, beta;
  at::Tensor alphas;      // SYQ
  at::Tensor log_scales;  // uniform codes below 8 bits, by output channel
  RunningMoments running;
  FoldedWeights folded;
  TransformSettings settings;  // as of the last folding
};

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

}  // namespace bitstage
