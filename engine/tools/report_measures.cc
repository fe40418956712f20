#include "engine/tools/report_measures.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/progress.h"
#include "engine/base/status_macros.h"
#include "engine/codec/frame.h"
#include "engine/compression/calibration.h"
#include "engine/compression/compress.h"
#include "engine/compression/lowering.h"
#include "engine/compression/sensitivity.h"
#include "engine/data/batch.h"
#include "engine/graph/partition.h"
#include "engine/quant/histogram.h"
#include "engine/reference/float_executor.h"
#include "engine/tools/model_summary.h"

namespace bitstage {
namespace {

constexpr int64_t kBatch = 8;  // images that histograms take at once
constexpr size_t kBins = 56;
// A histogram is cut off this far beyond the ends of the grid, in widths of the grid: outliers go into the last bin.
constexpr double kBeyond = 0.6;

report::Boundary Describe(const Model& model, const Value& value) {
  report::Boundary boundary{.name = value.name, .shape = value.shape.ToString(), .elements = value.shape.elements()};
  const int64_t channels = value.shape.rank() == 0 ? 1 : value.shape[0];
  for (int64_t c = 0; c < channels; ++c) boundary.stored_bits += value.grid->BitsOf(c);
  boundary.stored_bits /= static_cast<double>(channels);
  boundary.coding = std::string(Name(FrameCoding::kInline));
  const auto found = model.boundary_tables.find(value.name);
  if (found == model.boundary_tables.end()) return boundary;
  const BoundaryTables& tables = found->second;
  boundary.coding = std::string(Name(tables.preferred));
  const float bits = tables.contexts_bits > 0 ? tables.contexts_bits : tables.plain_bits;
  if (bits > 0) boundary.coded_bits = bits;
  return boundary;
}

// What is counted of one value while images pass.
struct Observed {
  Histogram histogram;
  double squares = 0;  // Σ x²
  double noise = 0;    // Σ (x − x̂)²
  int64_t clipped = 0;
  int64_t count = 0;
};

// Channels that share their levels, the coarsest first.
std::vector<report::Activation::Levels> LevelsOf(const Grid& grid, int64_t channels) {
  std::map<std::pair<double, double>, report::Activation::Levels> groups;
  for (int64_t c = 0; c < channels; ++c) {
    const double step = static_cast<double>(grid.StepOf(c)) * (1 << grid.ShiftOf(c));
    const double first = -static_cast<double>(grid.StepOf(c)) * grid.zero_point;
    auto& levels = groups[{-step * (grid.MaxSymbol(c) + 1), step}];
    levels.first = first;
    levels.step = step;
    levels.count = grid.MaxSymbol(c) + 1;
    ++levels.channels;
  }
  std::vector<report::Activation::Levels> list;
  for (const auto& [key, levels] : groups) list.push_back(levels);
  return list;
}

report::Activation Describe(const Value& value, const Observed& observed) {
  report::Activation activation{.name = value.name, .grid = DescribeGrid(value.grid)};
  activation.levels = LevelsOf(*value.grid, value.shape.rank() == 0 ? 1 : value.shape[0]);
  double first = 0;
  double last = 0;
  for (const auto& levels : activation.levels) {
    first = std::min(first, levels.first);
    last = std::max(last, levels.first + levels.step * (levels.count - 1));
  }
  const double width = std::max(last - first, 1e-30);
  const Histogram& histogram = observed.histogram;
  activation.low = std::min(first, std::max<double>(histogram.min(), first - kBeyond * width));
  activation.high = std::max(last, std::min<double>(histogram.max(), last + kBeyond * width));
  activation.bins.assign(kBins, 0);
  const double bin = (activation.high - activation.low) / static_cast<double>(kBins);
  histogram.ForEachBin([&](double x, uint64_t n) {
    if (x == 0) return;
    const double at = std::clamp((x - activation.low) / bin, 0.0, static_cast<double>(kBins - 1));
    activation.bins[static_cast<size_t>(at)] += static_cast<double>(n);
  });
  const auto count = static_cast<double>(std::max<int64_t>(observed.count, 1));
  activation.zeros = static_cast<double>(histogram.zeros()) / count;
  activation.clipped = static_cast<double>(observed.clipped) / count;
  // Exact values, as codes that are only moved, have no noise: more than 99 dB says as much.
  constexpr double kMostDb = 99;
  activation.signal_to_noise_db =
      observed.noise > 0 ? std::min(kMostDb, 10 * std::log10(observed.squares / observed.noise)) : kMostDb;
  return activation;
}

// Counts the values of a batch, then rounds them as the engine would.
void Observe(const Value& value, Tensor& batch, Observed& observed) {
  const Grid& grid = *value.grid;
  const Shape& shape = batch.shape();
  const int64_t channels = shape.rank() > 1 ? shape[1] : 1;
  const int64_t inner = shape.elements() / (shape[0] * channels);
  const std::span<float> all = batch.Span<float>();
  for (int64_t i = 0; i < shape[0] * channels; ++i) {
    const int64_t channel = i % channels;
    const std::span<float> values = all.subspan(static_cast<size_t>(i * inner), static_cast<size_t>(inner));
    const std::vector<float> before(values.begin(), values.end());
    observed.histogram.Add(before);
    SnapToGrid(grid, channel, values);
    const double step = static_cast<double>(grid.StepOf(channel)) * (1 << grid.ShiftOf(channel));
    for (size_t k = 0; k < before.size(); ++k) {
      const double error = static_cast<double>(before[k]) - values[k];
      observed.squares += static_cast<double>(before[k]) * before[k];
      observed.noise += error * error;
      observed.clipped += std::abs(error) > step * 0.5001;  // rounding moves half a step at most
    }
    observed.count += inner;
  }
}

std::string Share(const std::string& text) { return text.empty() ? "unknown" : text; }

}  // namespace

report::ModelReport DescribeModel(const Model& model, const std::string& name, int64_t file_bytes) {
  const ModelSummary summary = Summarize(model);
  report::ModelReport described{.name = name,
                                .file_bytes = file_bytes,
                                .bits_per_weight = summary.bits_per_weight,
                                .weights = summary.weights,
                                .macs = summary.macs,
                                .codes = DescribeCodes(summary.codes)};
  for (size_t i = 0; i < summary.layers.size(); ++i) {
    const LayerSummary& layer = summary.layers[i];
    if (!layer.weights) continue;
    const std::optional<Grid>& grid = model.graph.value(model.graph.nodes[i].output).grid;
    described.layers.push_back(
        {.name = layer.name,
         .op = layer.op,
         .weights = layer.weights->ToString(),
         .codes = layer.scale.empty() ? layer.codebook : absl::StrCat(layer.codebook, ", ", layer.scale),
         .bits = layer.bits,
         .activation = layer.activation,
         .activation_bits = grid ? *std::max_element(grid->bits.begin(), grid->bits.end()) : 0,
         .bytes = layer.bytes,
         .macs = layer.macs});
  }
  for (const ValueId id : CutCandidates(model.graph)) {
    described.boundaries.push_back(Describe(model, model.graph.value(id)));
  }
  const Provenance& provenance = model.provenance;
  described.provenance = {absl::StrCat("source: ", Share(provenance.source_file)),
                          absl::StrCat("command: ", Share(provenance.command)),
                          absl::StrCat("made by: bitstage-model ", Share(provenance.tool_version))};
  for (const std::string& note : provenance.notes) described.provenance.push_back(note);
  return described;
}

absl::StatusOr<std::vector<report::Activation>> MeasureActivations(const Model& model, const Dataset& data,
                                                                   const std::vector<int64_t>& indices,
                                                                   ThreadPool* pool) {
  const Graph& graph = model.graph;
  std::vector<Observed> observed(graph.values.size());
  Progress progress("histograms", static_cast<int64_t>(indices.size()), Progress::StandardError());
  for (size_t begin = 0; begin < indices.size(); begin += kBatch) {
    const size_t count = std::min<size_t>(kBatch, indices.size() - begin);
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor images,
                              LoadBatch(data, std::span(indices).subspan(begin, count), *model.preprocessing, pool));
    const std::vector<TensorView> inputs = {images.View()};
    BITSTAGE_RETURN_IF_ERROR(FloatExecutor(graph, pool)
                                 .Run(inputs,
                                      [&](ValueId id, Tensor& batch) {
                                        const Value& value = graph.value(id);
                                        if (value.grid) Observe(value, batch, observed[static_cast<size_t>(id)]);
                                      })
                                 .status());
    progress.Advance(static_cast<int64_t>(count));
  }
  // Codes that are only moved show what they were moved from.
  std::vector<report::Activation> activations;
  for (const ValueId id : graph.inputs) {
    if (graph.value(id).grid) activations.push_back(Describe(graph.value(id), observed[static_cast<size_t>(id)]));
  }
  for (const Node& node : graph.nodes) {
    const Observed& own = observed[static_cast<size_t>(node.output)];
    if (graph.value(node.output).grid && own.noise > 0) {
      activations.push_back(Describe(graph.value(node.output), own));
    }
  }
  return activations;
}

absl::StatusOr<std::vector<report::Sensitivity>> MeasureReportSensitivities(const Model& float_model,
                                                                            const Dataset& data,
                                                                            const std::vector<int64_t>& indices,
                                                                            int bits, ThreadPool* pool) {
  BITSTAGE_ASSIGN_OR_RETURN(const Graph graph, PreparedGraph(float_model));
  BITSTAGE_ASSIGN_OR_RETURN(const Tensor images, LoadBatch(data, indices, *float_model.preprocessing, pool));
  std::optional<Progress> bar;
  int64_t shown = 0;
  const auto show = [&](int64_t done, int64_t total) {
    if (!bar) bar.emplace("sensitivities", total, Progress::StandardError());
    bar->Advance(done - std::exchange(shown, done));
  };
  BITSTAGE_ASSIGN_OR_RETURN(const Calibration calibration, Calibrate(graph, images, pool, {}));
  BITSTAGE_ASSIGN_OR_RETURN(
      const std::vector<std::vector<CodingEffect>> effects,
      MeasureSensitivities(graph, calibration, images, {{.bits = bits}}, /*second_order_rounding=*/false, pool, show));
  const double margin = std::max(MeanMargin(calibration.features), 1e-12);
  std::vector<report::Sensitivity> sensitivities;
  const std::vector<size_t> nodes = WeightedNodes(graph);
  for (size_t i = 0; i < nodes.size(); ++i) {
    sensitivities.push_back({graph.nodes[nodes[i]].name, effects[i][0].noise / margin});
  }
  return sensitivities;
}

}  // namespace bitstage
