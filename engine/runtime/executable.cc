#include "engine/runtime/executable.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/kernels/kernel_table.h"
#include "engine/runtime/lowering.h"
#include "engine/runtime/plan.h"

namespace bitstage {
namespace {

// More than any network that a CPU serves needs for one image.
constexpr size_t kMaxArenaBytes = size_t{1} << 33;

absl::Status CheckModel(const Model& model, bool with_codes) {
  const Graph& graph = model.graph;
  BITSTAGE_RETURN_IF_ERROR(with_codes ? Validate(graph) : ValidateWithoutCodes(graph));
  for (const Node& node : graph.nodes) {
    const ConstantId weights = WeightsOf(node.op);
    if (weights == kNoConstant || graph.constant(weights).codes) continue;
    return absl::InvalidArgumentError(absl::StrCat("model '", model.name, "': the weights of node '", node.name,
                                                   "' are floats; quantize the model first"));
  }
  for (const ValueId id : graph.inputs) {
    if (graph.value(id).grid) continue;
    return absl::InvalidArgumentError(absl::StrCat("model '", model.name, "': input '", graph.value(id).name,
                                                   "' has no activation grid; quantize the model first"));
  }
  return absl::OkStatus();
}

// All that is left to know of a model once its weights are packed: shapes, scales and widths, but no codes.
Model WithoutCodes(const Model& model) {
  Model slim;
  slim.name = model.name;
  slim.preprocessing = model.preprocessing;
  slim.labels = model.labels;
  slim.class_offset = model.class_offset;
  slim.provenance = model.provenance;
  slim.stage = model.stage;
  slim.boundary_tables = model.boundary_tables;
  const Graph& graph = model.graph;
  slim.graph.values = graph.values;
  slim.graph.nodes = graph.nodes;
  slim.graph.inputs = graph.inputs;
  slim.graph.outputs = graph.outputs;
  slim.graph.constants.reserve(graph.constants.size());
  for (const Constant& constant : graph.constants) {
    if (!constant.codes) {
      slim.graph.AddConstant(constant.Clone());
      continue;
    }
    const WeightCodes& full = *constant.codes;
    slim.graph.AddConstant({.name = constant.name,
                            .values = std::nullopt,
                            .codes = WeightCodes{.shape = full.shape,
                                                 .codebook = full.codebook,
                                                 .bits = full.bits,
                                                 .kind = full.kind,
                                                 .codes = {},
                                                 .scale = full.scale,
                                                 .alpha = full.alpha}});
  }
  return slim;
}

// What WithoutCodes keeps: names apart.
size_t DescriptionBytes(const Graph& graph) {
  size_t bytes = graph.values.size() * sizeof(Value) + graph.constants.size() * sizeof(Constant) +
                 graph.nodes.size() * sizeof(Node);
  for (const Value& value : graph.values) {
    if (value.grid) {
      bytes += value.grid->step.size() * sizeof(float) + value.grid->bits.size() + value.grid->shift.size();
    }
  }
  for (const Constant& constant : graph.constants) {
    if (constant.values) bytes += constant.values->bytes();
    if (constant.codes) bytes += constant.codes->scale.size() * sizeof(float) + constant.codes->alpha.size();
  }
  return bytes;
}

absl::StatusOr<Isa> ResolveIsa(const CompileOptions& options) {
  if (!options.isa) return ChooseIsa();
  const std::vector<Isa>& supported = SupportedIsas();
  if (std::find(supported.begin(), supported.end(), *options.isa) != supported.end()) return *options.isa;
  return absl::InvalidArgumentError(absl::StrCat("this CPU does not run ", Name(*options.isa), " kernels"));
}

TensorSpec CodeSpec(const Value& value) { return {value.name, DataType::kUInt8, CodeShape(value.shape)}; }

void Describe(Executable::Plan& plan) {
  const Graph& graph = plan.model.graph;
  const bool takes_codes = plan.model.stage && plan.model.stage->index > 0;
  for (const ValueId id : graph.inputs) {
    const Value& value = graph.value(id);
    plan.inputs.push_back(takes_codes ? CodeSpec(value) : TensorSpec{value.name, value.type, value.shape});
  }
  for (const ValueId id : graph.outputs) {
    const Value& value = graph.value(id);
    plan.outputs.push_back(value.grid ? CodeSpec(value) : TensorSpec{value.name, value.type, value.shape});
  }
}

// What only the finished steps know.
void DescribeSteps(Executable::Plan& plan) {
  size_t index = 0;
  const auto describe = [&](const Step& step) {
    const Step::Traits& traits = step.traits();
    StepInfo& info = plan.infos[index++];
    info.kernel = traits.kernel;
    info.shape = traits.shape;
    info.weights = traits.weights;
    info.packed_bytes = traits.packed_bytes;
    info.constant_bytes = traits.constant_bytes;
    info.scratch_bytes = traits.scratch_bytes;
    info.candidates = traits.candidates;
  };
  for (const InputPlan& input : plan.input_plans) describe(*input.from_floats);
  for (const std::unique_ptr<Step>& step : plan.steps) describe(*step);
}

void ChooseEarlySteps(Executable::Plan& plan) {
  constexpr size_t kEarlyWeights = 256 << 10;  // a part of the L2 cache
  size_t weights = 0;
  for (const std::unique_ptr<Step>& step : plan.steps) {
    weights += step->traits().packed_bytes;
    if (step->traits().all_images || weights > kEarlyWeights) return;
    ++plan.early_steps;
  }
}

// Every step learns what weights come after it.
void LookAhead(Executable::Plan& plan) {
  std::span<const std::byte> weights;
  for (auto step = plan.steps.rbegin(); step != plan.steps.rend(); ++step) {
    (*step)->LookAhead(weights);
    if (!(*step)->FirstWeights().empty()) weights = (*step)->FirstWeights();
  }
}

absl::Status PlanMemory(Executable::Plan& plan) {
  std::vector<Lifetime> lifetimes(plan.slots.size());
  int64_t at = 0;
  const auto visit = [&](const Step& step) {
    for (const int slot : step.traits().reads) lifetimes[static_cast<size_t>(slot)].Touch(at);
    for (const int slot : step.traits().writes) lifetimes[static_cast<size_t>(slot)].Touch(at);
    plan.memory.scratch_bytes = std::max(plan.memory.scratch_bytes, step.traits().scratch_bytes);
    plan.memory.batch_scratch_bytes =
        std::max({plan.memory.batch_scratch_bytes, step.traits().scratch_bytes, step.traits().batch_scratch_bytes});
    plan.memory.weight_bytes += step.traits().constant_bytes;
    ++at;
  };
  for (const InputPlan& input : plan.input_plans) visit(*input.from_floats);
  for (const std::unique_ptr<Step>& step : plan.steps) visit(*step);
  plan.memory.weight_bytes += DescriptionBytes(plan.model.graph);
  plan.memory.arena_bytes_per_image = PlanArena(plan.slots, lifetimes);
  for (const TensorSpec& spec : plan.outputs) {
    plan.memory.output_bytes_per_image += static_cast<size_t>(spec.shape.elements()) * SizeOf(spec.type);
  }
  if (plan.memory.arena_bytes_per_image <= kMaxArenaBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("model '", plan.model.name, "' needs ", plan.memory.arena_bytes_per_image,
                   " bytes of activations for one image, at most ", kMaxArenaBytes, " are served"));
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Executable>> Executable::Compile(std::shared_ptr<const Model> model,
                                                                      const CompileOptions& options) {
  BITSTAGE_RETURN_IF_ERROR(CheckModel(*model, /*with_codes=*/options.read_codes == nullptr));
  auto plan = std::make_unique<Plan>();
  plan->model = WithoutCodes(*model);
  BITSTAGE_ASSIGN_OR_RETURN(plan->isa, ResolveIsa(options));
  const WeightsSource weights(model->graph, options.read_codes);
  BITSTAGE_RETURN_IF_ERROR(Lowering(kernels::TableFor(plan->isa), weights, *plan).Run(options.pool));
  LookAhead(*plan);
  ChooseEarlySteps(*plan);
  Describe(*plan);
  DescribeSteps(*plan);
  BITSTAGE_RETURN_IF_ERROR(PlanMemory(*plan));
  return std::shared_ptr<const Executable>(new Executable(std::move(plan)));
}

Executable::Executable(std::unique_ptr<Plan> plan) : plan_(std::move(plan)) {}
Executable::~Executable() = default;

const Model& Executable::model() const { return plan_->model; }
Isa Executable::isa() const { return plan_->isa; }
const std::vector<TensorSpec>& Executable::inputs() const { return plan_->inputs; }
const std::vector<TensorSpec>& Executable::outputs() const { return plan_->outputs; }
const MemoryUse& Executable::memory() const { return plan_->memory; }
const std::vector<StepInfo>& Executable::steps() const { return plan_->infos; }

}  // namespace bitstage
