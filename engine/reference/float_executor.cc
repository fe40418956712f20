#include "engine/reference/float_executor.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/kernels/kernel_table.h"
#include "engine/reference/float_conv.h"
#include "engine/reference/float_ops.h"

namespace bitstage {
namespace {

// The node after which each value is needed no more; nodes.size() for graph outputs.
std::vector<size_t> LastUses(const Graph& graph) {
  std::vector<size_t> last(graph.values.size(), 0);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    for (const ValueId id : graph.nodes[i].inputs) last[static_cast<size_t>(id)] = i;
    last[static_cast<size_t>(graph.nodes[i].output)] = i;  // one that nobody reads
  }
  for (const ValueId id : graph.outputs) last[static_cast<size_t>(id)] = graph.nodes.size();
  return last;
}

absl::StatusOr<int64_t> CheckInputs(const Graph& graph, std::span<const TensorView> inputs) {
  if (inputs.size() != graph.inputs.size()) {
    return absl::InvalidArgumentError(absl::StrCat(inputs.size(), " inputs, expected ", graph.inputs.size()));
  }
  int64_t batch = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = graph.value(graph.inputs[i]);
    const TensorView& view = inputs[i];
    if (i == 0 && view.shape.rank() > 0) batch = view.shape[0];
    if (batch < 1 || view.type != DataType::kFloat32 || !(view.shape == value.shape.WithOuter(batch))) {
      return absl::InvalidArgumentError(absl::StrCat("input '", value.name, "' is ", Name(view.type), " ",
                                                     view.shape.ToString(), ", expected FP32 of shape batch x ",
                                                     value.shape.ToString(), ", the same batch for all inputs"));
    }
  }
  for (const Value& value : graph.values) {
    if (!value.shape.WithOuter(batch).CheckedElements()) {
      return absl::InvalidArgumentError(absl::StrCat("a batch of ", batch, " is too large for '", value.name, "'"));
    }
  }
  return batch;
}

// body(image) for every image, shared by the pool's threads.
template <typename Body>
void ForEachImage(ThreadPool* pool, int64_t batch, Body body) {
  ParallelFor(pool, batch, 1, [&](int64_t begin, int64_t end, int) {
    for (int64_t image = begin; image < end; ++image) body(image);
  });
}

// One call of FloatExecutor::Run: the values that are alive.
class FloatRun {
 public:
  FloatRun(const Graph& graph, ThreadPool* pool, bool snap_to_grids, int64_t batch, Sgemm sgemm)
      : graph_(graph), pool_(pool), snap_(snap_to_grids), batch_(batch), sgemm_(sgemm), values_(graph.values.size()) {}

  [[nodiscard]] Tensor& operator[](ValueId id) { return values_[static_cast<size_t>(id)]; }

  // The value `id` is complete: rounds it to its grid and shows it to the observer.
  void Finish(ValueId id, const FloatExecutor::Observer& observer) {
    const Value& value = graph_.value(id);
    if (snap_ && value.grid) {
      const auto elements = static_cast<size_t>(value.shape.elements());
      const std::span<float> all = (*this)[id].Span<float>();
      ForEachImage(pool_, batch_, [&](int64_t image) {
        SnapToGrid(*value.grid, value.shape, all.subspan(static_cast<size_t>(image) * elements, elements));
      });
    }
    if (observer) observer(id, (*this)[id]);
  }

  void Compute(const Node& node) {
    const Value& value = graph_.value(node.output);
    Tensor output(value.type, value.shape.WithOuter(batch_));
    if (IsFloatOp(node.op)) {
      ForEachImage(pool_, batch_, [&](int64_t image) {
        std::vector<const void*> inputs;
        inputs.reserve(node.inputs.size());
        for (const ValueId id : node.inputs) inputs.push_back(Image((*this)[id], image));
        RunFloatOp(graph_, node, inputs, Image(output, image));
      });
    } else {
      const float* residual = node.inputs.size() > 1 ? (*this)[node.inputs[1]].Span<float>().data() : nullptr;
      const Constant& weights = graph_.constant(WeightsOf(node.op));
      const std::vector<float> real = weights.codes ? RealWeights(graph_, node) : std::vector<float>();
      RunFloatConv(graph_, node, weights.codes ? std::span<const float>(real) : weights.values->Span<float>(), batch_,
                   (*this)[node.inputs[0]].Span<float>().data(), residual, output.Span<float>().data(), pool_, sgemm_);
    }
    (*this)[node.output] = std::move(output);
  }

 private:
  [[nodiscard]] std::byte* Image(Tensor& tensor, int64_t image) const {
    return tensor.data() + static_cast<size_t>(image) * (tensor.bytes() / static_cast<size_t>(batch_));
  }

  const Graph& graph_;
  ThreadPool* pool_;
  bool snap_;
  int64_t batch_;
  Sgemm sgemm_;
  std::vector<Tensor> values_;
};

}  // namespace

absl::StatusOr<std::vector<Tensor>> FloatExecutor::Run(std::span<const TensorView> inputs,
                                                       const Observer& observer) const {
  BITSTAGE_ASSIGN_OR_RETURN(const Isa isa, ChooseIsa());
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t batch, CheckInputs(graph_, inputs));
  FloatRun run(graph_, pool_, snap_to_grids_, batch, kernels::TableFor(isa).sgemm);
  const std::vector<size_t> last_use = LastUses(graph_);
  for (size_t i = 0; i < inputs.size(); ++i) {
    run[graph_.inputs[i]] = Tensor::Of(inputs[i].shape, inputs[i].Span<float>());
    run.Finish(graph_.inputs[i], observer);
  }
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    run.Compute(node);
    run.Finish(node.output, observer);
    const auto free_if_done = [&](ValueId id) {
      if (last_use[static_cast<size_t>(id)] == i) run[id] = Tensor();
    };
    for (const ValueId id : node.inputs) free_if_done(id);
    free_if_done(node.output);
  }
  std::vector<Tensor> outputs;
  for (const ValueId id : graph_.outputs) outputs.push_back(std::move(run[id]));
  return outputs;
}

}  // namespace bitstage
