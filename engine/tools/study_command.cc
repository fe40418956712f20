// bitstage-model study: tables of the papers' own experiments.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "engine/base/progress.h"
#include "engine/base/status_macros.h"
#include "engine/base/thread_pool.h"
#include "engine/data/batch.h"
#include "engine/graph/passes.h"
#include "engine/study/activation_study.h"
#include "engine/tools/command.h"
#include "engine/tools/json.h"
#include "engine/tools/load_model.h"
#include "engine/tools/map_measure.h"
#include "engine/tools/study_runner.h"

namespace bitstage {
namespace {

absl::Status RunSchemeStudy(const Arguments& arguments, const Model& model, const StudyImages& calibration,
                            const StudyImages& test, int64_t batch, const MapMeasure& measure, ThreadPool* pool,
                            Console& console) {
  const bool maps = AnswersMaps(model);
  std::vector<ActivationScheme> schemes;
  BITSTAGE_ASSIGN_OR_RETURN(schemes.emplace_back(), ParseScheme("float"));
  for (const absl::string_view text : absl::StrSplit(arguments.Get("schemes"), ',')) {
    BITSTAGE_ASSIGN_OR_RETURN(schemes.emplace_back(), ParseScheme(text));
    if (maps && schemes.back().method == StudyMethod::kDqa && schemes.back().ranking == Ranking::kGreedy) {
      return absl::FailedPreconditionError(absl::StrCat(
          "'", text, "': the greedy ranking needs a network that classifies images; this one's answer is a map"));
    }
  }
  BITSTAGE_ASSIGN_OR_RETURN(Tensor images,
                            LoadBatch(calibration.data, calibration.indices, *model.preprocessing, pool));
  std::vector<int> labels;
  if (!maps && calibration.data.has_labels()) {
    BITSTAGE_ASSIGN_OR_RETURN(labels, calibration.Labels(model.class_offset));
  }
  BITSTAGE_ASSIGN_OR_RETURN(ActivationStudy study,
                            ActivationStudy::Create(model.graph, std::move(images), std::move(labels), pool));
  console.out << model.name << ": " << study.blocks().size() << " block outputs, " << test.indices.size()
              << " images in batches of " << batch << ", " << calibration.indices.size() << " calibration images\n\n"
              << "| scheme | nominal bits " << StudyColumns(maps) << "\n"
              << (maps ? "|---|---|---|---|---|\n" : "|---|---|---|---|---|---|\n");
  StudyRunner runner(model, test, batch, measure, pool);
  Json rows = Json::array();
  for (const ActivationScheme& scheme : schemes) {
    std::optional<Progress> progress;
    BITSTAGE_ASSIGN_OR_RETURN(const BlockQuantizer quantizer, study.Prepare(scheme, [&](int64_t, int64_t total) {
      if (!progress) progress.emplace("ranking channels", total, Progress::StandardError());
      progress->Advance();
    }));
    progress.reset();
    const auto run = [&](const Tensor& batch_images) { return study.Run(batch_images, quantizer); };
    BITSTAGE_ASSIGN_OR_RETURN(const StudyRow row, runner.Evaluate(scheme.text, quantizer.nominal_bits, run));
    console.out << absl::StrFormat("| %s | %.2f ", row.name, row.bits) << CellsOf(row) << "\n" << std::flush;
    rows.push_back(JsonOf(row));
  }
  if (arguments.Has("json")) PrintJsonLine({{"images", test.indices.size()}, {"rows", rows}}, console.out);
  return absl::OkStatus();
}

absl::Status RunStudy(const Arguments& arguments, Console& console) {
  if (arguments.Has("schemes") == arguments.Has("adaptive")) {
    return UsageError("expected either --schemes or --adaptive");
  }
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t batch, arguments.Int("batch", 100, 1, 1024));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t count, arguments.Int("images", 512, 1, 100000));
  BITSTAGE_ASSIGN_OR_RETURN(const MapMeasure measure, MapMeasure::FromArguments(arguments));
  BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadModel(arguments.positional()[0]));
  if (!model.preprocessing) return absl::FailedPreconditionError("the network declares no preprocessing");
  BITSTAGE_RETURN_IF_ERROR(measure.CheckModel(model));
  BITSTAGE_RETURN_IF_ERROR(Optimize(model.graph));
  BITSTAGE_ASSIGN_OR_RETURN(const StudyImages calibration, OpenImages(arguments, "calibration", count));
  BITSTAGE_ASSIGN_OR_RETURN(const StudyImages test, OpenImages(arguments, "data", INT64_MAX));
  ThreadPool pool(AvailableCpus());
  if (arguments.Has("adaptive")) {
    return RunWidthStudy(model, calibration, test, batch, &pool, arguments.Has("json"), console);
  }
  return RunSchemeStudy(arguments, model, calibration, test, batch, measure, &pool, console);
}

}  // namespace

Command StudyCommand() {
  return {
      .name = "study",
      .synopsis = "NET --calibration PATH --data PATH --schemes LIST|--adaptive",
      .summary = "The papers' experiments: block outputs quantized and weights in float, or the other way round.",
      .details =
          "Schemes, separated by commas:\n"
          "direct:N                     the DQA paper's Direct-N, scales from the running batch\n"
          "dqa:N+M[@R][:RANKING]        its DQA(N, M); RANKING greedy, gain, random[SEED]\n"
          "noisy:N                      NoisyQuant on the same grid\n"
          "unsigned:N[:CLIP[:STEP]]     static from 0; CLIP mse, max, percentile; STEP channel, tensor, shift\n"
          "served:N+M[@R][:STEP]        DQA's two widths on that grid\n"
          "adaptive:BITS                these grids, a width a block: the least noise at BITS an element on average\n"
          "--adaptive: weights alone in whole-number widths a layer, by the adaptive method, by SQNR and equal ones",
      .flags =
          {{.name = "calibration", .value = "PATH", .help = "images for ranges and rankings", .required = true},
           {.name = "calibration-begin", .value = "N", .help = "take them from the N-th image on (0)"},
           {.name = "calibration-end", .value = "N", .help = "… up to before the N-th"},
           {.name = "images", .value = "N", .help = "how many images calibrate (512)"},
           {.name = "data", .value = "PATH", .help = "images with labels or label maps to test on", .required = true},
           {.name = "data-begin", .value = "N", .help = "test from the N-th image on (0)"},
           {.name = "data-end", .value = "N", .help = "… up to before the N-th"},
           MapMeasure::ClassMapFlag(),
           {.name = "schemes", .value = "LIST", .help = "ways to quantize block outputs"},
           {.name = "adaptive", .help = "widths of weights instead"},
           {.name = "batch", .value = "N", .help = "images a batch: online scales depend on it (100)"},
           {.name = "json", .help = "print one JSON object as the last line"}},
      .min_positional = 1,
      .max_positional = 1,
      .run = RunStudy};
}

}  // namespace bitstage
