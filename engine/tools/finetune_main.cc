// bitstage-finetune: what `bitstage-model finetune` runs.
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/base/progress.h"
#include "engine/base/status_macros.h"
#include "engine/compression/boundary_statistics.h"
#include "engine/compression/recipe.h"
#include "engine/format/model_file.h"
#include "engine/tools/command.h"
#include "engine/tools/finetune.h"
#include "engine/tools/json.h"
#include "engine/tools/load_model.h"
#include "engine/tools/model_summary.h"
#include "engine/training/trainer.h"
#include "engine/training/training_progress.h"

namespace bitstage {
namespace {

constexpr int64_t kBoundaryImages = 100;

std::atomic<bool> stop_requested = false;
static_assert(std::atomic<bool>::is_always_lock_free);

// The second Ctrl-C ends at once.
void RequestStop(int signal_number) {
  stop_requested.store(true);
  signal(signal_number, SIG_DFL);
}

template <typename Enum>
absl::Status Choose(const Arguments& arguments, absl::string_view flag, const std::vector<absl::string_view>& names,
                    Enum& choice) {
  if (!arguments.Has(flag)) return absl::OkStatus();
  for (size_t i = 0; i < names.size(); ++i) {
    if (arguments.Get(flag) != names[i]) continue;
    choice = static_cast<Enum>(i);
    return absl::OkStatus();
  }
  return UsageError(
      absl::StrCat("--", flag, " is '", arguments.Get(flag), "', expected ", absl::StrJoin(names, " or ")));
}

absl::Status ParseWeights(const std::string& text, TrainingOptions& options) {
  const absl::Status refusal = UsageError(
      absl::StrCat("--weights is '", text, "', expected binary|ternary[:pixel|row|layer] or inner:BITS, 2 to 8"));
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  if (parts.size() > 2) return refusal;
  if (parts[0] == "inner") {
    const absl::StatusOr<WeightRecipe> recipe = bitstage::ParseWeights(text);
    if (!recipe.ok()) return refusal;
    options.codebook = Codebook::kUniform;
    options.weight_bits = recipe->bits;
    return absl::OkStatus();
  }
  const std::string kind = parts.size() > 1 ? parts[1] : "pixel";
  if ((parts[0] != "binary" && parts[0] != "ternary") || (kind != "pixel" && kind != "row" && kind != "layer")) {
    return refusal;
  }
  options.codebook = parts[0] == "binary" ? Codebook::kBinary : Codebook::kTernary;
  options.subgroups = kind == "pixel" ? ScaleKind::kPixel : kind == "row" ? ScaleKind::kRow : ScaleKind::kLayer;
  return absl::OkStatus();
}

absl::Status ParseActivations(const std::string& text, TrainingOptions& options) {
  options.activation_bits.clear();
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    int bits = 0;
    if (!absl::SimpleAtoi(part, &bits) || bits < 2 || bits > 8) {
      return UsageError(absl::StrCat("--activations is '", text, "', expected widths from 2 to 8"));
    }
    options.activation_bits.push_back(bits);
  }
  return absl::OkStatus();
}

absl::Status ParseEta(const std::string& text, TrainingOptions& options) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  double share = 0;
  if (parts.size() != 2 || (parts[0] != "max" && parts[0] != "mean") || !absl::SimpleAtod(parts[1], &share) ||
      !(share > 0 && share <= 2)) {
    return UsageError(absl::StrCat("--eta is '", text, "', expected max:SHARE or mean:SHARE, a share above 0 up to 2"));
  }
  options.eta_of_max = parts[0] == "max" ? share : 0.05;
  options.eta_of_mean = parts[0] == "mean" ? share : 0;
  return absl::OkStatus();
}

template <typename T>
absl::Status TakeInt(const Arguments& arguments, absl::string_view flag, int64_t low, int64_t high, T& value) {
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t number, arguments.Int(flag, static_cast<int64_t>(value), low, high));
  value = static_cast<T>(number);
  return absl::OkStatus();
}

absl::Status TakeNumber(const Arguments& arguments, absl::string_view flag, double low, double high, double& value) {
  BITSTAGE_ASSIGN_OR_RETURN(value, arguments.Number(flag, value, low, high));
  return absl::OkStatus();
}

absl::StatusOr<TrainingOptions> OptionsFrom(const Arguments& arguments) {
  constexpr int64_t kMost = int64_t{1} << 40;
  TrainingOptions o;
  if (arguments.Has("weights")) BITSTAGE_RETURN_IF_ERROR(ParseWeights(arguments.Get("weights"), o));
  if (arguments.Has("activations")) BITSTAGE_RETURN_IF_ERROR(ParseActivations(arguments.Get("activations"), o));
  if (arguments.Has("eta")) BITSTAGE_RETURN_IF_ERROR(ParseEta(arguments.Get("eta"), o));
  BITSTAGE_RETURN_IF_ERROR(Choose(arguments, "loss", {"distill", "labels"}, o.loss));
  BITSTAGE_RETURN_IF_ERROR(Choose(arguments, "optimizer", {"adam", "sgd"}, o.optimizer));
  BITSTAGE_RETURN_IF_ERROR(Choose(arguments, "schedule", {"cosine", "step"}, o.schedule));
  BITSTAGE_RETURN_IF_ERROR(Choose(arguments, "steps", {"lsq", "pact", "fixed"}, o.clips));
  BITSTAGE_RETURN_IF_ERROR(Choose(arguments, "norm", {"batch", "none"}, o.norm));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "images", 1, kMost, o.images));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "batch", 2, 4096, o.batch));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "warmup", 0, kMost, o.warmup_steps));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "max-alpha", 1, 127, o.max_alpha));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "shift", 0, 256, o.shift));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "held-back", 0, 1000000, o.held_back));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "seed", 0, kMost, o.seed));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "threads", 1, 256, o.threads));
  BITSTAGE_RETURN_IF_ERROR(TakeNumber(arguments, "temperature", 0.1, 100, o.temperature));
  BITSTAGE_RETURN_IF_ERROR(TakeNumber(arguments, "rate", 0, 1000, o.learning_rate));
  BITSTAGE_RETURN_IF_ERROR(TakeNumber(arguments, "momentum", 0, 1, o.momentum));
  BITSTAGE_RETURN_IF_ERROR(TakeNumber(arguments, "weight-decay", 0, 1, o.weight_decay));
  BITSTAGE_RETURN_IF_ERROR(TakeNumber(arguments, "frozen", 0, 1, o.frozen_share));
  BITSTAGE_RETURN_IF_ERROR(Choose(arguments, "zeros", {"paper", "scaled"}, o.scaled_zeros));
  o.flip = !arguments.Has("no-flip");
  o.mix = arguments.Has("mix");
  if (o.mix && o.loss == LossKind::kLabels) return UsageError("--mix is for --loss distill: a mixture has no label");
  return o;
}

absl::StatusOr<TrainingRun> RunFrom(const Arguments& arguments) {
  TrainingRun run;
  run.checkpoint = arguments.Get("checkpoint");
  run.start_from = arguments.Get("from");
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "checkpoint-every", 1, 1000000000, run.checkpoint_every));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "evaluate-every", 1, 1000000000, run.evaluate_every));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "patience", 0, 1000000, run.patience));
  BITSTAGE_RETURN_IF_ERROR(TakeInt(arguments, "benchmark", 1, 100000, run.benchmark_steps));
  if (!arguments.Has("benchmark")) run.benchmark_steps = 0;
  if (run.benchmark_steps == 0 && !arguments.Has("output")) return UsageError("--output FILE is missing");
  run.stop = &stop_requested;
  return run;
}

void PrintBenchmark(const TrainingResult& result, const TrainingOptions& options, const Arguments& arguments,
                    Console& console) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double per_minute = 60 / result.cpu_seconds_per_image;
  const double megabytes = static_cast<double>(usage.ru_maxrss) / 1024;
  console.out << absl::StrFormat(
      "%.0f images a CPU minute (%.3f ms of CPU an image), batch %d, %d thread%s, peak %.0f MB\n", per_minute,
      1000 * result.cpu_seconds_per_image, options.batch, options.threads, options.threads == 1 ? "" : "s", megabytes);
  if (arguments.Has("json")) {
    PrintJsonLine({{"images_per_cpu_minute", per_minute}, {"peak_megabytes", megabytes}}, console.out);
  }
}

absl::StatusOr<Model> Finished(const Model& model, const TrainingSet& set, TrainingResult& result,
                               const TrainingOptions& options, const Arguments& arguments) {
  Model trained = model.Clone();
  trained.graph = std::move(result.graph);
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor images, set.Calibration(kBoundaryImages, nullptr));
  BITSTAGE_ASSIGN_OR_RETURN(trained.boundary_tables,
                            MeasureBoundaryTables(trained.graph, images, Recipe{}.link_mbps, nullptr));
  trained.provenance.notes.push_back(Describe(options));
  if (!result.stopped.empty()) trained.provenance.notes.push_back(absl::StrCat("stopped: ", result.stopped));
  trained.provenance.command = absl::StrCat("finetune ", arguments.recorded());
  trained.provenance.tool_version = std::string(ToolVersion());
  return trained;
}

absl::Status RunFinetune(const Arguments& arguments, Console& console) {
  BITSTAGE_ASSIGN_OR_RETURN(const TrainingOptions options, OptionsFrom(arguments));
  BITSTAGE_ASSIGN_OR_RETURN(TrainingRun run, RunFrom(arguments));
  BITSTAGE_ASSIGN_OR_RETURN(const Model model, LoadModel(arguments.positional()[0]));
  if (!model.preprocessing) {
    return absl::FailedPreconditionError(
        "the network does not declare its preprocessing (metadata 'preprocess'): images cannot train it");
  }
  std::vector<std::shared_ptr<const Dataset>> sources;
  for (const std::string& path : arguments.All("data")) {
    BITSTAGE_ASSIGN_OR_RETURN(Dataset data, Dataset::Open(path));
    sources.push_back(std::make_shared<const Dataset>(std::move(data)));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const TrainingSet set,
                            TrainingSet::Create(std::move(sources), *model.preprocessing, options));
  signal(SIGINT, RequestStop);
  signal(SIGTERM, RequestStop);
  std::optional<Progress> preparing;
  run.preparation = [&](int64_t done, int64_t total) {
    if (done == 1) preparing.emplace("calibrating", total, Progress::StandardError());
    preparing->Advance();
    if (done == total) preparing.reset();
  };
  ProgressLine line(std::cerr, isatty(STDERR_FILENO) == 1);
  BITSTAGE_ASSIGN_OR_RETURN(TrainingResult result,
                            Train(model, set, options, run, [&](const TrainingProgress& now) { line.Show(now); }));
  line.End();
  if (run.benchmark_steps > 0) {
    PrintBenchmark(result, options, arguments, console);
    return absl::OkStatus();
  }
  BITSTAGE_ASSIGN_OR_RETURN(const Model trained, Finished(model, set, result, options, arguments));
  BITSTAGE_RETURN_IF_ERROR(WriteModelFile(trained, arguments.Get("output")));
  const double bits = Summarize(trained).bits_per_weight;
  const auto score = [](const HeldBackScore& s) {
    return absl::StrCat(absl::StrFormat("%.2f %% agreement", 100 * s.agreement),
                        s.accuracy ? absl::StrFormat(", %.2f %% right", 100 * *s.accuracy) : "");
  };
  console.out << arguments.Get("output") << ": " << absl::StrFormat("%.2f", bits) << " bits a weight\n"
              << "  held back  " << set.held_back() << " images: " << score(result.end) << " (before training "
              << score(result.start) << ")\n"
              << "  served     as trained: the same answer on " << absl::StrFormat("%.2f", 100 * result.same_top)
              << " %, logits within " << absl::StrFormat("%.2g", result.max_logit_difference) << "\n";
  if (arguments.Has("json")) {
    PrintJsonLine({{"bits_per_weight", bits},
                   {"agreement", result.end.agreement},
                   {"start_agreement", result.start.agreement},
                   {"accuracy", result.end.accuracy.value_or(-1)},
                   {"same_top", result.same_top},
                   {"max_logit_difference", result.max_logit_difference},
                   {"steps", result.steps},
                   {"loss", result.loss}},
                  console.out);
  }
  if (!result.stopped.empty()) console.err << "stopped: " << result.stopped << "\n";
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitstage

int main(int argc, char** argv) {
  const std::vector<bitstage::Command> commands = {bitstage::FinetuneCommand(bitstage::RunFinetune)};
  const std::vector<std::string> words(argv + 1, argv + argc);
  bitstage::Console console{.out = std::cout, .err = std::cerr, .out_is_terminal = isatty(STDOUT_FILENO) == 1};
  return bitstage::RunProgram(commands, words, console);
}
