// bitstage-model study: a table of what ways to quantize activations do to a network whose weights stay float.
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
#include "engine/data/dataset.h"
#include "engine/data/metrics.h"
#include "engine/data/selection.h"
#include "engine/graph/passes.h"
#include "engine/study/activation_study.h"
#include "engine/tools/command.h"
#include "engine/tools/json.h"
#include "engine/tools/load_model.h"

namespace bitstage {
namespace {

// Labelled images as the network's outputs count them.
struct Images {
  Dataset data;
  std::vector<int64_t> indices;

  [[nodiscard]] absl::StatusOr<std::vector<int>> Labels(int class_offset) const {
    std::vector<int> labels;
    for (const int64_t index : indices) {
      const std::optional<int> label = data.label(index);
      if (!label) return absl::FailedPreconditionError(absl::StrCat("image ", data.name(index), " has no label"));
      labels.push_back(*label + class_offset);
    }
    return labels;
  }
};

// One scheme's answers against the float network's.
struct Row {
  ActivationScheme scheme;
  double nominal_bits = 32;
  ClassificationCounts counts;
  PairedCounts paired;
};

class Study {
 public:
  Study(const Model& model, const Images& test, int64_t batch, ThreadPool* pool)
      : model_(model), test_(test), batch_(batch), pool_(pool) {}

  // The top outputs of every test image, by batches in order.
  absl::StatusOr<Row> Evaluate(const ActivationStudy& study, const BlockQuantizer& quantizer) {
    Row row{.scheme = quantizer.scheme, .nominal_bits = quantizer.nominal_bits, .counts = {}, .paired = {}};
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<int> labels, test_.Labels(0));
    std::vector<int> answers;
    Progress progress(quantizer.scheme.text, static_cast<int64_t>(labels.size()), Progress::StandardError());
    for (size_t begin = 0; begin < labels.size(); begin += static_cast<size_t>(batch_)) {
      const size_t count = std::min(static_cast<size_t>(batch_), labels.size() - begin);
      BITSTAGE_ASSIGN_OR_RETURN(
          const Tensor images,
          LoadBatch(test_.data, std::span(test_.indices).subspan(begin, count), *model_.preprocessing, pool_));
      BITSTAGE_ASSIGN_OR_RETURN(const Tensor z, study.Run(images, quantizer));
      const size_t classes = z.Span<float>().size() / count;
      for (size_t n = 0; n < count; ++n) {
        const std::span<const float> logits = z.Span<float>().subspan(n * classes, classes);
        row.counts.Add(logits, labels[begin + n], model_.class_offset);
        answers.push_back(TopOutput(logits) - model_.class_offset);
      }
      progress.Advance(static_cast<int64_t>(count));
    }
    if (quantizer.scheme.method == StudyMethod::kFloat && float_answers_.empty()) float_answers_ = answers;
    for (size_t n = 0; n < answers.size(); ++n) row.paired.Add(float_answers_[n], answers[n], labels[n]);
    return row;
  }

 private:
  const Model& model_;
  const Images& test_;
  const int64_t batch_;
  ThreadPool* pool_;
  std::vector<int> float_answers_;
};

void PrintRow(const Row& row, Console& console) {
  const Interval difference = row.paired.Top1DifferenceInterval();
  console.out << absl::StrFormat("| %s | %.2f | %.2f | %.2f | %d / %d | %+.2f … %+.2f |\n", row.scheme.text,
                                 row.nominal_bits, 100 * row.counts.Top1(), 100 * row.paired.Agreement(),
                                 row.paired.lost, row.paired.won, 100 * difference.low, 100 * difference.high)
              << std::flush;
}

Json JsonOf(const Row& row) {
  return {{"scheme", row.scheme.text},           {"nominal_bits", row.nominal_bits}, {"top1", row.counts.Top1()},
          {"agreement", row.paired.Agreement()}, {"lost", row.paired.lost},          {"won", row.paired.won}};
}

absl::StatusOr<Images> OpenImages(const Arguments& arguments, const std::string& flag, int64_t limit) {
  BITSTAGE_ASSIGN_OR_RETURN(Dataset data, Dataset::Open(arguments.Get(flag)));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t begin, arguments.Int(absl::StrCat(flag, "-begin"), 0, 0, data.size() - 1));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t end,
                            arguments.Int(absl::StrCat(flag, "-end"), data.size(), begin + 1, data.size()));
  std::vector<int64_t> indices = Range(data.size(), begin, std::min(end - begin, limit));
  return Images{std::move(data), std::move(indices)};
}

absl::Status RunStudy(const Arguments& arguments, Console& console) {
  std::vector<ActivationScheme> schemes;
  BITSTAGE_ASSIGN_OR_RETURN(schemes.emplace_back(), ParseScheme("float"));
  for (const absl::string_view text : absl::StrSplit(arguments.Get("schemes"), ',')) {
    BITSTAGE_ASSIGN_OR_RETURN(schemes.emplace_back(), ParseScheme(text));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t batch, arguments.Int("batch", 100, 1, 1024));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t count, arguments.Int("images", 512, 1, 100000));
  BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadModel(arguments.positional()[0]));
  if (!model.preprocessing) return absl::FailedPreconditionError("the network declares no preprocessing");
  BITSTAGE_RETURN_IF_ERROR(Optimize(model.graph));
  BITSTAGE_ASSIGN_OR_RETURN(const Images calibration, OpenImages(arguments, "calibration", count));
  BITSTAGE_ASSIGN_OR_RETURN(const Images test, OpenImages(arguments, "data", INT64_MAX));

  ThreadPool pool(AvailableCpus());
  BITSTAGE_ASSIGN_OR_RETURN(Tensor images,
                            LoadBatch(calibration.data, calibration.indices, *model.preprocessing, &pool));
  std::vector<int> labels;
  if (calibration.data.has_labels()) {
    BITSTAGE_ASSIGN_OR_RETURN(labels, calibration.Labels(model.class_offset));
  }
  BITSTAGE_ASSIGN_OR_RETURN(ActivationStudy study,
                            ActivationStudy::Create(model.graph, std::move(images), std::move(labels), &pool));
  console.out << model.name << ": " << study.blocks().size() << " block outputs, " << test.indices.size()
              << " images in batches of " << batch << ", " << calibration.indices.size() << " calibration images\n\n"
              << "| scheme | nominal bits | top-1, % | agreement, % | lost / won | top-1 − float, 95 % |\n"
              << "|---|---|---|---|---|---|\n";
  Study runner(model, test, batch, &pool);
  Json rows = Json::array();
  for (const ActivationScheme& scheme : schemes) {
    std::optional<Progress> progress;
    BITSTAGE_ASSIGN_OR_RETURN(const BlockQuantizer quantizer, study.Prepare(scheme, [&](int64_t, int64_t total) {
      if (!progress) progress.emplace("ranking channels", total, Progress::StandardError());
      progress->Advance();
    }));
    progress.reset();
    BITSTAGE_ASSIGN_OR_RETURN(const Row row, runner.Evaluate(study, quantizer));
    PrintRow(row, console);
    rows.push_back(JsonOf(row));
  }
  if (arguments.Has("json")) PrintJsonLine({{"images", test.indices.size()}, {"rows", rows}}, console.out);
  return absl::OkStatus();
}

}  // namespace

Command StudyCommand() {
  return {
      .name = "study",
      .synopsis = "NET --calibration PATH --data PATH --schemes LIST",
      .summary = "Compare ways to quantize the outputs of a network's blocks, weights in float.",
      .details =
          "Schemes, separated by commas:\n"
          "direct:N                     the DQA paper's Direct-N, scales from the running batch\n"
          "dqa:N+M[@R][:RANKING]        its DQA(N, M); RANKING greedy, gain, random[SEED]\n"
          "noisy:N                      NoisyQuant on the same grid\n"
          "unsigned:N[:CLIP[:STEP]]     static from 0; CLIP mse, max, percentile; STEP channel, tensor, shift\n"
          "served:N+M[@R][:STEP]        DQA's two widths on that grid",
      .flags = {{.name = "calibration", .value = "PATH", .help = "images for ranges and rankings", .required = true},
                {.name = "calibration-begin", .value = "N", .help = "take them from the N-th image on (0)"},
                {.name = "calibration-end", .value = "N", .help = "… up to before the N-th"},
                {.name = "images", .value = "N", .help = "how many images calibrate (512)"},
                {.name = "data", .value = "PATH", .help = "labelled images to test on", .required = true},
                {.name = "data-begin", .value = "N", .help = "test from the N-th image on (0)"},
                {.name = "data-end", .value = "N", .help = "… up to before the N-th"},
                {.name = "schemes", .value = "LIST", .help = "what to compare", .required = true},
                {.name = "batch", .value = "N", .help = "images a batch: online scales depend on it (100)"},
                {.name = "json", .help = "print one JSON object as the last line"}},
      .min_positional = 1,
      .max_positional = 1,
      .run = RunStudy};
}

}  // namespace bitstage
