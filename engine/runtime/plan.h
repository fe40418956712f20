// Plan: what Executable::Compile makes of a model, and what sessions run. For engine/runtime only.
#pragma once

#include <memory>
#include <vector>

#include "engine/runtime/code_layout.h"
#include "engine/runtime/executable.h"
#include "engine/runtime/memory_plan.h"
#include "engine/runtime/step.h"

namespace bitstage {

// How a graph input enters: quantized, or checked and copied where the caller has codes already.
struct InputPlan {
  int slot = -1;  // the caller's array
  Shape shape;    // per image, of floats
  CodeOperand codes;
  std::unique_ptr<Step> from_floats;
  std::unique_ptr<Step> from_codes;
};

struct Executable::Plan {
  Model model;  // without codes; steps point into its graph
  Isa isa = Isa::kReference;
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  MemoryUse memory;
  std::vector<StepInfo> infos;  // of the inputs, then of the steps

  std::vector<Slot> slots;
  std::vector<InputPlan> input_plans;
  std::vector<std::unique_ptr<Step>> steps;
  size_t early_steps = 0;  // that a batch does image by image, one image after the other: their activations are what
                           // a cache is for, and their weights, so few, stay there anyway
};

}  // namespace bitstage
