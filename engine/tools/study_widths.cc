// bitstage-model study --adaptive: the adaptive-precision paper's comparison (arXiv 1712.01048), weights alone.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/base/progress.h"
#include "engine/base/status_macros.h"
#include "engine/compression/compress.h"
#include "engine/data/batch.h"
#include "engine/study/weight_study.h"
#include "engine/tools/study_runner.h"

namespace bitstage {
namespace {

constexpr double kAccuracyOfRobustness = 0.1;  // t_i: 10 points
constexpr uint64_t kSeed = 0;

struct Method {
  WidthMethod method;
  const char* name;
};
constexpr Method kMethods[] = {
    {WidthMethod::kEqual, "equal"}, {WidthMethod::kSqnr, "SQNR"}, {WidthMethod::kAdaptive, "adaptive"}};

// One choice of widths.
struct Point {
  SizePoint size;  // measured noise over the margin
  double agreement = 0;
};
using Curve = std::vector<Point>;

// The fewest bits from which on the curve keeps that agreement; infinity where it never does.
double BitsForAgreement(const Curve& curve, double agreement) {
  double bits = std::numeric_limits<double>::infinity();
  for (auto point = curve.rbegin(); point != curve.rend() && point->agreement >= agreement; ++point) {
    bits = point->size.bits;
  }
  return bits;
}

std::vector<double> SavingsAtEqualNoise(const Curve& curve, const Curve& equal) {
  std::vector<SizePoint> widths;
  for (const Point& point : equal) widths.push_back(point.size);
  std::vector<double> savings;
  for (const Point& point : curve) {
    if (const std::optional<double> saving = SavingAtEqualNoise(point.size, widths)) savings.push_back(*saving);
  }
  std::sort(savings.begin(), savings.end());
  return savings;
}

void PrintSavings(const std::vector<Curve>& curves, Console& console) {
  const Curve& equal = curves[0];
  for (size_t i = 1; i < curves.size(); ++i) {
    const std::vector<double> savings = SavingsAtEqualNoise(curves[i], equal);
    if (savings.empty()) continue;
    console.out << absl::StrFormat("\n%s saves %.1f %% at equal noise (median of %d sizes, %.1f … %.1f)",
                                   kMethods[i].name, 100 * savings[savings.size() / 2], savings.size(),
                                   100 * savings.front(), 100 * savings.back());
  }
  console.out << "\n\n| agreement at least, % | equal width | SQNR, bits | adaptive, bits | adaptive saves, % |\n"
              << "|---|---|---|---|---|\n";
  for (const double agreement : {0.9, 0.95, 0.98, 0.99}) {
    std::vector<double> bits;
    for (const Curve& curve : curves) bits.push_back(BitsForAgreement(curve, agreement));
    if (std::any_of(bits.begin(), bits.end(), [](double b) { return std::isinf(b); })) continue;
    console.out << absl::StrFormat("| %.0f | %.0f | %.2f | %.2f | %.0f |\n", 100 * agreement, bits[0], bits[1], bits[2],
                                   100 * (1 - bits[2] / bits[0]));
  }
}

}  // namespace

absl::Status RunWidthStudy(const Model& model, const StudyImages& calibration, const StudyImages& test, int64_t batch,
                           ThreadPool* pool, bool json, Console& console) {
  if (AnswersMaps(model)) return absl::FailedPreconditionError("--adaptive needs a network that classifies images");
  BITSTAGE_ASSIGN_OR_RETURN(Tensor images,
                            LoadBatch(calibration.data, calibration.indices, *model.preprocessing, pool));
  BITSTAGE_ASSIGN_OR_RETURN(std::vector<int> labels, calibration.Labels(model.class_offset));
  BITSTAGE_ASSIGN_OR_RETURN(Graph graph, PreparedGraph(model));
  BITSTAGE_ASSIGN_OR_RETURN(WeightStudy study,
                            WeightStudy::Create(std::move(graph), std::move(images), std::move(labels), pool));
  std::optional<Progress> progress;
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<LayerNoise> layers,
                            study.MeasureLayers(kAccuracyOfRobustness, kSeed, [&](int64_t, int64_t total) {
                              if (!progress) progress.emplace("measuring layers", total, Progress::StandardError());
                              progress->Advance();
                            }));
  progress.reset();
  console.out << model.name << ": " << layers.size() << " layers, " << test.indices.size() << " images, "
              << calibration.indices.size() << " calibration images, seed " << kSeed << "; p in margins\n\n"
              << "| layer | weights | p | t |\n|---|---|---|---|\n";
  for (size_t i = 0; i < layers.size(); ++i) {
    console.out << absl::StrFormat("| %d | %.0f | %.4g | %.3g |\n", i, layers[i].s, layers[i].p / study.margin(),
                                   layers[i].t);
  }
  StudyRunner runner(model, test, batch, MapMeasure(), pool);
  const auto run = [&](const Tensor& batch_images) { return study.Run(batch_images); };
  BITSTAGE_ASSIGN_OR_RETURN(const StudyRow reference, runner.Evaluate("float", 32, run));
  console.out << "\n| method | mean bits | noise / margin " << StudyColumns(/*maps=*/false)
              << " widths |\n|---|---|---|---|---|---|---|---|\n"
              << "| float | 32 | 0 " << CellsOf(reference) << " |\n";
  Json rows = Json::array();
  std::vector<Curve> curves;
  for (const Method& method : kMethods) {
    Curve& curve = curves.emplace_back();
    for (const LayerWidths& widths : CandidateWidths(method.method, layers)) {
      const double bits = MeanBits(layers, std::vector<double>(widths.begin(), widths.end()));
      BITSTAGE_RETURN_IF_ERROR(study.Round(widths));
      BITSTAGE_ASSIGN_OR_RETURN(const double noise, study.NoiseOverMargin());
      BITSTAGE_ASSIGN_OR_RETURN(const StudyRow row, runner.Evaluate(method.name, bits, run));
      curve.push_back({{bits, noise}, row.paired.Agreement()});
      console.out << absl::StrFormat("| %s | %.2f | %.4g ", method.name, bits, noise) << CellsOf(row) << " "
                  << absl::StrJoin(widths, ",") << " |\n"
                  << std::flush;
      Json& entry = rows.emplace_back(JsonOf(row));
      entry["noise"] = noise;
      entry["widths"] = widths;
    }
  }
  PrintSavings(curves, console);
  if (json) PrintJsonLine({{"images", test.indices.size()}, {"rows", rows}}, console.out);
  return absl::OkStatus();
}

}  // namespace bitstage
