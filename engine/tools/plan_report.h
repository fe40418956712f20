// What `bitstage-model inspect --plan` prints: how this CPU would run a quantized model, step by step, and why so.
#pragma once

#include "engine/runtime/executable.h"
#include "engine/tools/command.h"
#include "engine/tools/json.h"

namespace bitstage {

void PrintPlan(const Executable& executable, Console& console);
Json PlanToJson(const Executable& executable);

}  // namespace bitstage
