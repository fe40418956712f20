#include "engine/tools/plan_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/base/table.h"

namespace bitstage {
namespace {

constexpr size_t kNameWidth = 40;

double BitsAWeight(const StepInfo& info) {
  return info.weights == 0 ? 0 : 8.0 * static_cast<double>(info.packed_bytes) / static_cast<double>(info.weights);
}

// "vnni_patch 51k, vnni_direct 74k": the cycles that each kernel promised, the chosen one among them.
std::string Promises(const StepInfo& info) {
  return absl::StrJoin(info.candidates, ", ", [](std::string* out, const KernelCandidate& candidate) {
    absl::StrAppend(out, candidate.kernel, " ",
                    candidate.cycles < 10'000 ? absl::StrFormat("%.0f", candidate.cycles)
                                              : absl::StrFormat("%.0fk", candidate.cycles / 1000));
  });
}

}  // namespace

void PrintPlan(const Executable& executable, Console& console) {
  Table table({{"step", Align::kLeft, kNameWidth},
               {"op"},
               {"kernel"},
               {"layer"},
               {"bits a weight", Align::kRight},
               {"packed bytes", Align::kRight},
               {"scratch", Align::kRight},
               {"cycles promised"}});
  int64_t packed = 0;
  int64_t weights = 0;
  const auto unless_zero = [](size_t bytes) { return bytes == 0 ? "" : Thousands(static_cast<int64_t>(bytes)); };
  for (const StepInfo& info : executable.steps()) {
    packed += static_cast<int64_t>(info.packed_bytes);
    weights += info.weights;
    table.AddRow({info.node, info.op, info.kernel, info.shape,
                  info.weights == 0 ? "" : absl::StrFormat("%.2f", BitsAWeight(info)), unless_zero(info.packed_bytes),
                  unless_zero(info.scratch_bytes), Promises(info)});
  }
  const MemoryUse& memory = executable.memory();
  table.AddRule();
  table.AddRow(
      {"all steps", "", "", "",
       weights == 0 ? "" : absl::StrFormat("%.2f", 8.0 * static_cast<double>(packed) / static_cast<double>(weights)),
       Thousands(packed), Thousands(static_cast<int64_t>(memory.scratch_bytes)), ""});
  console.out << "the plan on this CPU (" << Name(executable.isa())
              << "); of the kernels that can compute a layer the one "
              << "that promises the fewest cycles is taken\n\n";
  table.Print(console.out, console.out_is_terminal);
  console.out << "\nmemory          " << Thousands(static_cast<int64_t>(memory.weight_bytes))
              << " bytes of weights, scales and tables; of a session "
              << Thousands(static_cast<int64_t>(memory.arena_bytes_per_image)) << " bytes an image and "
              << Thousands(static_cast<int64_t>(memory.scratch_bytes)) << " a thread\n";
}

Json PlanToJson(const Executable& executable) {
  Json steps = Json::array();
  for (const StepInfo& info : executable.steps()) {
    Json candidates = Json::object();
    for (const KernelCandidate& candidate : info.candidates) candidates[candidate.kernel] = candidate.cycles;
    steps.push_back({{"name", info.node},
                     {"op", info.op},
                     {"kernel", info.kernel},
                     {"layer", info.shape},
                     {"macs", info.macs},
                     {"weights", info.weights},
                     {"packed_bytes", info.packed_bytes},
                     {"constant_bytes", info.constant_bytes},
                     {"scratch_bytes", info.scratch_bytes},
                     {"promised_cycles", candidates}});
  }
  const MemoryUse& memory = executable.memory();
  return {{"isa", std::string(Name(executable.isa()))},
          {"weight_bytes", memory.weight_bytes},
          {"arena_bytes_per_image", memory.arena_bytes_per_image},
          {"scratch_bytes", memory.scratch_bytes},
          {"steps", steps}};
}

}  // namespace bitstage
