// bitstage-model bench: how long a quantized model takes, in all and by layer.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/base/table.h"
#include "engine/base/thread_pool.h"
#include "engine/kernels/peak.h"
#include "engine/runtime/executable.h"
#include "engine/tools/command.h"
#include "engine/tools/cycle_counter.h"
#include "engine/tools/json.h"
#include "engine/tools/load_model.h"
#include "engine/tools/stopwatch.h"

namespace bitstage {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr size_t kWarmUpRuns = 3;
constexpr Milliseconds kWarmUp{300};
constexpr size_t kMinRuns = 5;
constexpr size_t kNameWidth = 50;

// What is timed: one session on one batch.
class Subject {
 public:
  Subject(const std::shared_ptr<const Executable>& executable, int64_t batch, ThreadPool* pool)
      : batch_(batch), session_(executable, batch, pool) {
    const Graph& graph = executable->model().graph;
    for (const ValueId id : graph.inputs) tensors_.push_back(SpreadInput(graph.value(id), batch));
    for (const Tensor& tensor : tensors_) views_.push_back(tensor.View());
  }

  Session& session() { return session_; }

  // The duration of every batch, over at least `time` and `runs`.
  absl::StatusOr<std::vector<double>> Run(Milliseconds time, size_t runs) {
    std::vector<double> durations;
    const auto start = Clock::now();
    while (durations.size() < runs || Clock::now() - start < time) {
      const auto begin = Clock::now();
      BITSTAGE_RETURN_IF_ERROR(session_.Run(batch_, views_, Cancellation::None()));
      durations.push_back(Milliseconds(Clock::now() - begin).count());
    }
    return durations;
  }

 private:
  int64_t batch_;
  Session session_;
  std::vector<Tensor> tensors_;
  std::vector<TensorView> views_;
};

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Median milliseconds of every step. Timing steps one by one costs a little: their sum is not the batch's time.
absl::StatusOr<std::vector<double>> ProfileSteps(Subject& subject, Milliseconds time) {
  subject.session().EnableProfiling();
  std::vector<std::vector<double>> samples(subject.session().StepNanoseconds().size());
  const auto start = Clock::now();
  while (samples[0].size() < kMinRuns || Clock::now() - start < time) {
    BITSTAGE_RETURN_IF_ERROR(subject.Run(Milliseconds(0), 1).status());
    const std::span<const int64_t> nanoseconds = subject.session().StepNanoseconds();
    for (size_t i = 0; i < samples.size(); ++i) samples[i].push_back(static_cast<double>(nanoseconds[i]) / 1e6);
  }
  std::vector<double> medians;
  medians.reserve(samples.size());
  for (std::vector<double>& sample : samples) medians.push_back(Median(std::move(sample)));
  return medians;
}

// peak: of all threads, in billions of multiply-accumulates a second; 0 where there is none.
Json PrintProfile(const Executable& executable, const std::vector<double>& steps, int64_t batch, double peak,
                  Console& console) {
  double sum = 0;
  for (const double ms : steps) sum += ms;
  Table table({{"layer", Align::kLeft, kNameWidth},
               {"op"},
               {"kernel"},
               {"ms", Align::kRight},
               {"share", Align::kRight},
               {"GMAC/s", Align::kRight},
               {"of the peak", Align::kRight}});
  Json layers = Json::array();
  for (size_t i = 0; i < steps.size(); ++i) {
    const StepInfo& info = executable.steps()[i];
    const double rate = steps[i] > 0 ? static_cast<double>(info.macs * batch) / steps[i] / 1e6 : 0;
    table.AddRow({info.node, info.op, info.kernel, absl::StrFormat("%.4f", steps[i]),
                  absl::StrFormat("%.1f %%", sum > 0 ? 100 * steps[i] / sum : 0),
                  info.macs == 0 ? "" : absl::StrFormat("%.1f", rate),
                  info.macs == 0 || peak == 0 ? "" : absl::StrFormat("%.0f %%", 100 * rate / peak)});
    layers.push_back(
        {{"name", info.node}, {"op", info.op}, {"kernel", info.kernel}, {"ms", steps[i]}, {"macs", info.macs * batch}});
  }
  table.AddRule();
  table.AddRow({"all steps", "", "", absl::StrFormat("%.4f", sum), "100.0 %", "", ""});
  table.Print(console.out, console.out_is_terminal);
  console.out << '\n';
  return layers;
}

absl::Status RunBench(const Arguments& arguments, Console& console) {
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t batch, arguments.Int("batch", 1, 1, 1024));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t threads, arguments.Int("threads", AvailableCpus(), 1, 1024));
  BITSTAGE_ASSIGN_OR_RETURN(const double seconds, arguments.Number("seconds", 1, 0.001, 3600));
  const std::string& path = arguments.positional()[0];
  const auto load_begin = Clock::now();
  ThreadPool pool(static_cast<int>(threads));
  BITSTAGE_ASSIGN_OR_RETURN(const auto executable, LoadExecutable(path, &pool));
  Subject subject(executable, batch, &pool);
  BITSTAGE_RETURN_IF_ERROR(subject.Run(Milliseconds(0), 1).status());
  const double load = Milliseconds(Clock::now() - load_begin).count();
  BITSTAGE_RETURN_IF_ERROR(
      subject.Run(std::min<Milliseconds>(kWarmUp, Milliseconds(seconds * 1000)), kWarmUpRuns).status());
  const CycleCounter counter;
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<double> durations, subject.Run(Milliseconds(seconds * 1000), kMinRuns));
  const std::optional<int64_t> cycles = counter.Cycles();
  const double median = Median(durations);
  const double least = *std::min_element(durations.begin(), durations.end());
  int64_t macs = 0;
  for (const StepInfo& step : executable->steps()) macs += step.macs * batch;

  Json json = {{"ms", median},
               {"isa", std::string(Name(executable->isa()))},
               {"min_ms", least},
               {"load_ms", load},
               {"batch", batch},
               {"threads", threads},
               {"runs", durations.size()},
               {"images_per_second", static_cast<double>(batch) / median * 1000},
               {"macs", macs},
               {"weight_bytes", executable->memory().weight_bytes},
               {"arena_bytes", subject.session().arena_bytes()}};
  // The calling thread's: with more threads it does only its share.
  std::optional<double> macs_per_cycle;
  if (cycles && *cycles > 0 && threads == 1) {
    macs_per_cycle = static_cast<double>(macs) * static_cast<double>(durations.size()) / static_cast<double>(*cycles);
    json["macs_per_cycle"] = *macs_per_cycle;
  }
  if (arguments.Has("profile")) {
    const double peak = kernels::MeasurePeak(executable->isa()) * static_cast<double>(threads);
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<double> steps, ProfileSteps(subject, Milliseconds(seconds * 1000)));
    json["peak_gmacs"] = peak;
    json["layers"] = PrintProfile(*executable, steps, batch, peak, console);
    if (peak > 0) {
      console.out << absl::StrFormat(
          "the peak is %.0f GMAC/s: the tier's own dot products, measured on one thread, times the threads. Kernels "
          "that multiply less than the convolution says (Winograd) may pass it\n\n",
          peak);
    }
  }
  console.out << path << ", batch " << batch << ", " << threads << " thread" << (threads == 1 ? "" : "s") << ", "
              << Name(executable->isa()) << '\n'
              << absl::StrFormat("  median     %.4f ms a batch (least %.4f, %d runs)\n", median, least,
                                 durations.size())
              << absl::StrFormat("  load       %.1f ms from the file to the first answer\n", load)
              << absl::StrFormat("  rate       %.1f images/s, %.1f GMAC/s\n",
                                 static_cast<double>(batch) / median * 1000, static_cast<double>(macs) / median / 1e6)
              << (macs_per_cycle ? absl::StrFormat("  cycles     %.1f MAC a cycle\n", *macs_per_cycle) : "")
              << absl::StrFormat("  memory     %s bytes of packed weights, %s bytes of activations\n",
                                 Thousands(static_cast<int64_t>(executable->memory().weight_bytes)),
                                 Thousands(static_cast<int64_t>(subject.session().arena_bytes())));
  if (arguments.Has("json")) PrintJsonLine(json, console.out);
  return absl::OkStatus();
}

}  // namespace

Command BenchCommand() {
  return {
      .name = "bench",
      .synopsis = "M.bitstage [--batch N] [--threads N] [--profile] [--json]",
      .summary = "Time a quantized model, in all and by layer.",
      .details = "The environment variable BITSTAGE_ISA names the instruction set: reference, avx2, avx512_vnni, amx.",
      .flags = {{.name = "batch", .value = "N", .help = "images a batch (1)"},
                {.name = "threads", .value = "N", .help = "threads (as many as the process has CPUs)"},
                {.name = "seconds", .value = "S", .help = "how long to measure, after the warm-up (1)"},
                {.name = "profile", .help = "a table by layer"},
                {.name = "json", .help = "print one JSON object as the last line"}},
      .min_positional = 1,
      .max_positional = 1,
      .run = RunBench};
}

}  // namespace bitstage
