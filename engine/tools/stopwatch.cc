#include "engine/tools/stopwatch.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>
#include <string>

#include "engine/base/status_macros.h"
#include "engine/runtime/executable.h"

namespace bitstage {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr Milliseconds kTime{250};  // of each of the two measurements
constexpr int kLeastRuns = 10;

absl::StatusOr<std::shared_ptr<const Executable>> Compiled(const Model& model) {
  return Executable::Compile(std::make_shared<const Model>(model.Clone()), {});
}

// Sums of `amount` over a node's steps, by index into Graph::nodes.
template <typename Amount>
std::vector<double> ByNode(const Model& model, const Executable& executable, Amount amount) {
  std::map<std::string, double> by_name;
  const std::vector<StepInfo>& steps = executable.steps();
  for (size_t i = 0; i < steps.size(); ++i) by_name[steps[i].node] += amount(i);
  std::vector<double> sums;
  for (const Node& node : model.graph.nodes) sums.push_back(by_name[node.name]);
  return sums;
}

}  // namespace

Tensor SpreadInput(const Value& value, int64_t batch) {
  Tensor tensor(DataType::kFloat32, value.shape.WithOuter(batch));
  const float range = value.grid->StepOf(0) * 255;
  const float low = -value.grid->StepOf(0) * static_cast<float>(value.grid->zero_point);
  uint32_t state = 1;
  for (float& x : tensor.Span<float>()) {
    state = state * 1664525 + 1013904223;
    x = low + range * static_cast<float>(state >> 8) / static_cast<float>(1 << 24);
  }
  return tensor;
}

absl::StatusOr<std::vector<double>> EngineStopwatch::Promise(const Model& model) {
  BITSTAGE_ASSIGN_OR_RETURN(const auto executable, Compiled(model));
  return ByNode(model, *executable, [&](size_t i) {
    const StepInfo& step = executable->steps()[i];
    const auto chosen = std::find_if(step.candidates.begin(), step.candidates.end(),
                                     [&](const KernelCandidate& candidate) { return candidate.kernel == step.kernel; });
    return chosen == step.candidates.end() ? 0 : chosen->cycles;
  });
}

absl::StatusOr<StepTimes> EngineStopwatch::Time(const Model& model) {
  BITSTAGE_ASSIGN_OR_RETURN(const auto executable, Compiled(model));
  std::vector<Tensor> tensors;
  std::vector<TensorView> views;
  for (const ValueId id : model.graph.inputs) tensors.push_back(SpreadInput(model.graph.value(id), 1));
  for (const Tensor& tensor : tensors) views.push_back(tensor.View());
  Session session(executable, 1, nullptr);
  const auto run_for = [&](const auto& after_each) -> absl::Status {
    const auto start = Clock::now();
    for (int runs = 0; runs < kLeastRuns || Clock::now() - start < kTime; ++runs) {
      const auto begin = Clock::now();
      BITSTAGE_RETURN_IF_ERROR(session.Run(1, views, Cancellation::None()));
      after_each(Milliseconds(Clock::now() - begin).count());
    }
    return absl::OkStatus();
  };
  StepTimes times{.node_ms = {}, .total_ms = HUGE_VAL};
  BITSTAGE_RETURN_IF_ERROR(run_for([&](double ms) { times.total_ms = std::min(times.total_ms, ms); }));
  session.EnableProfiling();
  std::vector<double> steps(executable->steps().size(), HUGE_VAL);
  BITSTAGE_RETURN_IF_ERROR(run_for([&](double) {
    const auto nanoseconds = session.StepNanoseconds();
    for (size_t i = 0; i < steps.size(); ++i) steps[i] = std::min(steps[i], static_cast<double>(nanoseconds[i]) / 1e6);
  }));
  // Reading a clock around every step takes time of its own: the steps are held to the whole.
  double sum = 0;
  for (const double ms : steps) sum += ms;
  const double share = sum > times.total_ms ? times.total_ms / sum : 1;
  times.node_ms = ByNode(model, *executable, [&](size_t i) { return steps[i] * share; });
  return times;
}

}  // namespace bitstage
