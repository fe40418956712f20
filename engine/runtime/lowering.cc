#include "engine/runtime/lowering.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/reference/float_conv.h"
#include "engine/runtime/code_steps.h"
#include "engine/runtime/code_table.h"
#include "engine/runtime/float_steps.h"
#include "engine/runtime/move_step.h"

namespace bitstage {

Lowering::Lowering(const kernels::KernelTable& table, const WeightsSource& weights, Executable::Plan& plan)
    : graph_(plan.model.graph),
      weights_(weights),
      table_(table),
      plan_(plan),
      placement_(Placement::Of(graph_)),
      float_copies_(graph_.values.size()),
      interleaved_(graph_.values.size()),
      planar_(graph_.values.size()) {}

absl::Status Lowering::Run(ThreadPool* pool) {
  for (size_t i = 0; i < graph_.inputs.size(); ++i) LowerInput(i);
  for (const Node& node : graph_.nodes) {
    if (std::visit([&](const auto& op) { return Lower(node, op); }, node.op)) continue;
    BITSTAGE_RETURN_IF_ERROR(LowerToFloat(node));
  }
  BITSTAGE_RETURN_IF_ERROR(MakeConvSteps(pool));
  plan_.slots = std::move(placement_.slots);
  return absl::OkStatus();
}

absl::Status Lowering::MakeConvSteps(ThreadPool* pool) {
  // The largest first: threads are done at about the same time.
  const auto elements = [this](const PendingConv& pending) {
    return graph_.constant(pending.weights).shape().elements();
  };
  std::stable_sort(pending_.begin(), pending_.end(),
                   [&](const PendingConv& a, const PendingConv& b) { return elements(a) > elements(b); });
  std::vector<WeightsRoom> rooms(static_cast<size_t>(pool == nullptr ? 1 : pool->threads()));
  std::vector<absl::Status> statuses(pending_.size());
  const auto make = [&](int64_t begin, int64_t end, int worker) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      PendingConv& pending = pending_[i];
      const absl::StatusOr<const WeightCodes*> weights =
          weights_.Get(pending.weights, rooms[static_cast<size_t>(worker)]);
      statuses[i] = weights.status();
      if (!weights.ok()) continue;
      pending.layer.weights = *weights;
      plan_.steps[pending.step] = MakeConvStep(table_, pending.layer);
    }
  };
  ParallelFor(pool, static_cast<int64_t>(pending_.size()), 1, make);
  for (const absl::Status& status : statuses) BITSTAGE_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

void Lowering::LowerInput(size_t index) {
  const ValueId id = graph_.inputs[index];
  const Value& value = ValueOf(id);
  InputPlan input{.slot = placement_.AddSlot(0, Slot::Home::kInput, index),
                  .shape = value.shape,
                  .codes = OperandOf(id),
                  .from_floats = nullptr,
                  .from_codes = nullptr};
  const Place caller{.slot = input.slot, .pixel_stride = input.codes.layout.channels};
  input.from_floats = MakeQuantizeStep(table_, caller, input.codes);
  CodeOperand raw = input.codes;
  raw.place = caller;
  input.from_codes = MakeCopyStep(raw, input.codes.place);
  plan_.infos.push_back({.node = value.name, .op = "Quantize"});
  plan_.input_plans.push_back(std::move(input));
}

bool Lowering::Lower(const Node& node, const Binary& op) {
  if (op.kind != BinaryKind::kAdd || !AreCodes(node) || !IsCode(node.output)) return false;
  const Shape& shape = ValueOf(node.output).shape;
  if (!(ValueOf(node.inputs[0]).shape == shape) || !(ValueOf(node.inputs[1]).shape == shape)) return false;
  const CodeOperand a = OperandOf(node.inputs[0]);
  const CodeOperand b = OperandOf(node.inputs[1]);
  const CodeOperand output = OperandOf(node.output);
  if (!a.HasChannels() || !b.HasChannels() || !output.HasChannels()) return false;
  Emit(node, MakeAddStep(table_, a, b, output, op.clamp));
  return true;
}

bool Lowering::Lower(const Node& node, const Pool& op) {
  if (!AreCodes(node) || !IsCode(node.output)) return false;
  const Value& input = ValueOf(node.inputs[0]);
  if (op.kind == PoolKind::kMax) {
    if (!FitsUnchanged(input, ValueOf(node.output), 0)) return false;
  } else {
    const int64_t positions =
        std::min(op.window.kernel[0], input.shape[1]) * std::min(op.window.kernel[1], input.shape[2]);
    if (positions > INT32_MAX / 255) return false;  // the sum would leave int32
  }
  Emit(node, MakePoolStep(table_, op, OperandOf(node.inputs[0]), OperandOf(node.output)));
  return true;
}

bool Lowering::Lower(const Node& node, const GlobalAveragePool&) {
  const Shape& shape = ValueOf(node.inputs[0]).shape;
  const Place& interleaved = interleaved_[static_cast<size_t>(node.inputs[0])];
  if (interleaved.slot >= 0 && !IsCode(node.output)) {
    Emit(node, MakeMeanStep(table_, CodeLayout::Of(shape), interleaved, PlaceOf(node.output)));
    return true;
  }
  Pool whole;
  whole.kind = PoolKind::kAverage;
  whole.window.kernel = {shape[1], shape[2]};
  return Lower(node, whole);
}

bool Lowering::Lower(const Node& node, const Concat&) {
  if (!IsChannelConcat(graph_, node)) return LowerToMove(node);
  const Value& whole = ValueOf(node.output);
  int64_t channel = 0;
  for (const ValueId id : node.inputs) {
    const Value& part = ValueOf(id);
    const Place target = ChannelSlice(PlaceOf(node.output), channel);
    if (FitsUnchanged(part, whole, channel)) {
      if (!(PlaceOf(id) == target)) Emit(node, MakeCopyStep(OperandOf(id), target));
    } else {
      CodeOperand output = OperandOf(id);
      output.place = target;
      Emit(node, MakeTableStep(RequantizingTables(part, whole, channel), OperandOf(id), output));
    }
    channel += part.shape[0];
  }
  return true;
}

bool Lowering::Lower(const Node& node, const Reshape&) {
  const ValueId input = node.inputs[0];
  if (!IsCode(input) || IsCode(node.output)) return LowerToMove(node);
  Emit(node, MakeDequantizeStep(OperandOf(input), PlaceOf(node.output)));  // ONNX layout: the reshaped array already
  return true;
}

bool Lowering::Lower(const Node& node, const Unary& op) {
  const ValueId input = node.inputs[0];
  if (op.kind != UnaryKind::kIdentity || !IsCode(input) || IsCode(node.output)) return LowerToTable(node);
  Emit(node, MakeDequantizeStep(OperandOf(input), PlaceOf(node.output)));
  return true;
}

bool Lowering::LowerToTable(const Node& node) {
  if (!AreCodes(node) || !IsCode(node.output)) return false;
  std::vector<uint8_t> tables = TablesOf(graph_, node);
  if (tables.empty()) return false;
  Emit(node, MakeTableStep(std::move(tables), OperandOf(node.inputs[0]), OperandOf(node.output)));
  return true;
}

bool Lowering::LowerToMove(const Node& node) {
  if (!AreCodes(node) || !IsCode(node.output)) return false;
  std::vector<CodeOperand> inputs;
  for (const ValueId id : node.inputs) inputs.push_back(OperandOf(id));
  std::unique_ptr<Step> step = MakeMoveStep(graph_, node, inputs, OperandOf(node.output));
  if (step == nullptr) return false;
  Emit(node, std::move(step));
  return true;
}

absl::Status Lowering::LowerToFloat(const Node& node) {
  std::vector<Place> inputs;
  for (const ValueId id : node.inputs) inputs.push_back(FloatPlace(node, id));
  const bool to_codes = IsCode(node.output);
  const Place output = to_codes ? AddFloatSlot(ValueOf(node.output).shape.elements()) : PlaceOf(node.output);
  std::vector<float> weights;
  if (const ConstantId id = WeightsOf(node.op); id != kNoConstant) {
    WeightsRoom room;
    BITSTAGE_ASSIGN_OR_RETURN(const WeightCodes* const codes, weights_.Get(id, room));
    weights = RealWeights(graph_, node, *codes);
  }
  Emit(node, MakeFloatStep(graph_, node, std::move(weights), table_, inputs, output), MacsOf(graph_, node));
  if (to_codes) Emit(node, MakeQuantizeStep(table_, output, OperandOf(node.output)));
  return absl::OkStatus();
}

void Lowering::Emit(const Node& node, std::unique_ptr<Step> step, int64_t macs) {
  plan_.infos.push_back({.node = node.name, .op = OpName(node.op), .macs = macs});
  plan_.steps.push_back(std::move(step));
}

bool Lowering::AreCodes(const Node& node) const {
  return std::all_of(node.inputs.begin(), node.inputs.end(), [this](ValueId id) { return IsCode(id); });
}

CodeOperand Lowering::OperandOf(ValueId id) const {
  const Value& value = ValueOf(id);
  return {.place = PlaceOf(id), .layout = CodeLayout::Of(value.shape), .grid = &*value.grid};
}

Place Lowering::AddFloatSlot(int64_t elements) {
  return {.slot = placement_.AddSlot(static_cast<size_t>(elements) * sizeof(float))};
}

Place Lowering::FloatPlace(const Node& consumer, ValueId id) {
  const auto index = static_cast<size_t>(id);
  if (!IsCode(id)) {
    if (interleaved_[index].slot >= 0 && !planar_[index]) {
      Emit(consumer, MakePlanarStep(CodeLayout::Of(ValueOf(id).shape), interleaved_[index], PlaceOf(id)));
      planar_[index] = true;
    }
    return PlaceOf(id);
  }
  Place& copy = float_copies_[index];
  if (copy.slot < 0) {
    copy = AddFloatSlot(ValueOf(id).shape.elements());
    Emit(consumer, MakeDequantizeStep(OperandOf(id), copy));
  }
  return copy;
}

}  // namespace bitstage
