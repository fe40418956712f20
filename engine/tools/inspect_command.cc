#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/base/status_macros.h"
#include "engine/base/table.h"
#include "engine/tools/command.h"
#include "engine/tools/json.h"
#include "engine/tools/load_model.h"
#include "engine/tools/model_summary.h"
#include "engine/tools/plan_report.h"

namespace bitstage {
namespace {

constexpr size_t kNameWidth = 60;
constexpr size_t kLabelsShown = 4;

double Share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string DescribeValues(const Graph& graph, const std::vector<ValueId>& ids) {
  return absl::StrJoin(ids, ", ", [&](std::string* out, ValueId id) {
    const Value& value = graph.value(id);
    absl::StrAppend(out, value.name, " ", value.shape.ToString(), " ", Name(value.type));
    if (value.grid) absl::StrAppend(out, " on ", DescribeGrid(value.grid));
  });
}

std::string Numbers(const std::vector<float>& values) {
  return absl::StrJoin(values, " ", [](std::string* out, float x) { absl::StrAppendFormat(out, "%.4g", x); });
}

std::string Describe(const Preprocessing& p) {
  std::string text = absl::StrCat(Name(p.color), " ", p.width, "x", p.height, ", ", Name(p.geometry));
  if (p.geometry == Geometry::kCenterCrop) absl::StrAppend(&text, " of shorter side ", p.resize_shorter);
  if (p.geometry == Geometry::kLetterbox) absl::StrAppend(&text, " on ", p.pad_value);
  return absl::StrCat(text, ", (x · ", absl::StrFormat("%.6g", p.scale), " − [", Numbers(p.mean), "]) / [",
                      Numbers(p.std), "]");
}

// "12.3×", how many times smaller the file is.
std::string Times(int64_t bytes, int64_t file_bytes) {
  return absl::StrFormat("%.1f×", file_bytes == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(file_bytes));
}

void PrintLayers(const ModelSummary& summary, int64_t file_bytes, Console& console) {
  Table table({{"layer", Align::kLeft, kNameWidth},
               {"op"},
               {"weights"},
               {"bits", Align::kRight},
               {"codebook"},
               {"scale"},
               {"output", Align::kRight},
               {"activation"},
               {"bytes", Align::kRight},
               {"share", Align::kRight},
               {"MACs", Align::kRight}});
  int64_t layer_bytes = 0;
  for (const LayerSummary& layer : summary.layers) {
    layer_bytes += layer.bytes;
    const auto unless_zero = [](int64_t number) { return number == 0 ? "" : Thousands(number); };
    table.AddRow({layer.name, layer.op, layer.weights ? layer.weights->ToString() : "",
                  layer.weights ? absl::StrFormat("%g", layer.bits) : "", layer.codebook, layer.scale,
                  layer.shape.ToString(), layer.activation, unless_zero(layer.bytes),
                  layer.bytes == 0 ? "" : absl::StrFormat("%.1f %%", 100 * Share(layer.bytes, file_bytes)),
                  unless_zero(layer.macs)});
  }
  table.AddRule();
  table.AddRow({"graph, names, tables", "", "", "", "", "", "", "", Thousands(file_bytes - layer_bytes),
                absl::StrFormat("%.1f %%", 100 * Share(file_bytes - layer_bytes, file_bytes)), ""});
  table.AddRow({"the file", "", "", summary.weights == 0 ? "" : absl::StrFormat("%.2f", summary.bits_per_weight), "",
                "", "", "", Thousands(file_bytes), "100.0 %", Thousands(summary.macs)});
  table.Print(console.out, console.out_is_terminal);
}

void PrintReport(const Model& model, const ModelSummary& summary, const std::string& path, int64_t file_bytes,
                 Console& console) {
  std::ostream& out = console.out;
  out << path << ": " << model.name;
  if (model.stage) out << ", stage " << model.stage->index + 1 << " of " << model.stage->count;
  out << "\n\n";
  PrintLayers(summary, file_bytes, console);
  out << "\n"
      << "parameters      " << Thousands(summary.parameters) << ", of them " << Thousands(summary.weights)
      << " weights of " << absl::StrFormat("%.2f", summary.bits_per_weight) << " bits, scales included\n";
  if (!summary.codes.empty()) out << "codes           " << DescribeCodes(summary.codes) << "\n";
  out << "file            " << Thousands(file_bytes) << " bytes; as float32 " << Thousands(summary.float32_bytes)
      << " (" << Times(summary.float32_bytes, file_bytes) << "), as int8 " << Thousands(summary.int8_bytes) << " ("
      << Times(summary.int8_bytes, file_bytes) << ")\n"
      << "inputs          " << DescribeValues(model.graph, model.graph.inputs) << "\n"
      << "outputs         " << DescribeValues(model.graph, model.graph.outputs) << "\n"
      << "preprocessing   " << (model.preprocessing ? Describe(*model.preprocessing) : "none: takes tensors only")
      << "\n";
  if (!model.labels.empty()) {
    const size_t shown = std::min(model.labels.size(), kLabelsShown);
    out << "labels          " << model.labels.size() << ": "
        << absl::StrJoin(model.labels.begin(), model.labels.begin() + static_cast<ptrdiff_t>(shown), " | ")
        << (shown < model.labels.size() ? " | …" : "") << "\n";
  }
  if (!model.boundary_tables.empty()) {
    out << "entropy tables  for " << model.boundary_tables.size() << " value(s) at which stages may be cut\n";
  }
  const Provenance& from = model.provenance;
  if (!from.source_file.empty())
    out << "from            " << from.source_file << "  sha256 " << from.source_sha256 << "\n";
  if (!from.command.empty())
    out << "by              bitstage-model " << from.tool_version << ": " << from.command << "\n";
  for (const std::string& note : from.notes) out << "                " << note << "\n";
}

Json ToJson(const Shape& shape) { return Json(std::vector<int64_t>(shape.begin(), shape.end())); }

Json ToJson(const std::optional<Grid>& grid) {
  if (!grid) return nullptr;
  return {{"zero_point", grid->zero_point}, {"step", grid->step}, {"bits", grid->bits}, {"shift", grid->shift}};
}

Json ToJson(const Graph& graph, const std::vector<ValueId>& ids) {
  Json list = Json::array();
  for (const ValueId id : ids) {
    const Value& value = graph.value(id);
    list.push_back({{"name", value.name},
                    {"shape", ToJson(value.shape)},
                    {"type", std::string(Name(value.type))},
                    {"grid", ToJson(value.grid)}});
  }
  return list;
}

Json ToJson(const Preprocessing& p) {
  return {{"color", std::string(Name(p.color))},
          {"geometry", std::string(Name(p.geometry))},
          {"width", p.width},
          {"height", p.height},
          {"resize_shorter", p.resize_shorter},
          {"pad_value", p.pad_value},
          {"scale", p.scale},
          {"mean", p.mean},
          {"std", p.std}};
}

Json ToJson(const LayerSummary& layer, int64_t file_bytes) {
  const bool has_weights = layer.weights.has_value();
  return {{"name", layer.name},
          {"op", layer.op},
          {"shape", ToJson(layer.shape)},
          {"weights", has_weights ? ToJson(*layer.weights) : Json()},
          {"bits", has_weights ? Json(layer.bits) : Json()},
          {"codebook", has_weights ? Json(layer.codebook) : Json()},
          {"scale", layer.scale.empty() ? Json() : Json(layer.scale)},
          {"activation", layer.activation},
          {"bytes", layer.bytes},
          {"share", Share(layer.bytes, file_bytes)},
          {"macs", layer.macs}};
}

Json ToJson(const CodesSummary& codes) {
  return {{"codebook", codes.codebook},     {"scale", codes.scale.empty() ? Json() : Json(codes.scale)},
          {"layers", codes.layers},         {"weights", codes.weights},
          {"least_bits", codes.least_bits}, {"most_bits", codes.most_bits}};
}

Json ToJson(const Model& model, const ModelSummary& summary, const std::string& path, int64_t file_bytes) {
  Json layers = Json::array();
  for (const LayerSummary& layer : summary.layers) layers.push_back(ToJson(layer, file_bytes));
  Json codes = Json::array();
  for (const CodesSummary& same : summary.codes) codes.push_back(ToJson(same));
  const Provenance& from = model.provenance;
  Json json = {{"file", std::filesystem::path(path).filename().string()},
               {"name", model.name},
               {"parameters", summary.parameters},
               {"weights", summary.weights},
               {"bits_per_weight", summary.bits_per_weight},
               {"file_bytes", file_bytes},
               {"float32_bytes", summary.float32_bytes},
               {"int8_bytes", summary.int8_bytes},
               {"macs", summary.macs},
               {"inputs", ToJson(model.graph, model.graph.inputs)},
               {"outputs", ToJson(model.graph, model.graph.outputs)},
               {"preprocessing", model.preprocessing ? ToJson(*model.preprocessing) : Json()},
               {"labels", model.labels},
               {"class_offset", model.class_offset},
               {"provenance",
                {{"source_file", from.source_file},
                 {"source_sha256", from.source_sha256},
                 {"command", from.command},
                 {"tool_version", from.tool_version},
                 {"notes", from.notes}}},
               {"stage", nullptr},
               {"codes", std::move(codes)},
               {"layers", std::move(layers)}};
  if (model.stage) {
    json["stage"] = {
        {"index", model.stage->index}, {"count", model.stage->count}, {"pipeline_id", model.stage->pipeline_id}};
  }
  return json;
}

absl::Status InspectPlan(Model model, bool as_json, Console& console) {
  BITSTAGE_ASSIGN_OR_RETURN(const auto executable,
                            Executable::Compile(std::make_shared<const Model>(std::move(model)), {}));
  if (as_json) {
    PrintJsonLine(PlanToJson(*executable), console.out);
  } else {
    PrintPlan(*executable, console);
  }
  return absl::OkStatus();
}

absl::Status RunInspect(const Arguments& arguments, Console& console) {
  const std::string& path = arguments.positional()[0];
  BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadModel(path));
  if (arguments.Has("plan")) return InspectPlan(std::move(model), arguments.Has("json"), console);
  std::error_code error;
  const auto file_bytes = static_cast<int64_t>(std::filesystem::file_size(path, error));
  const ModelSummary summary = Summarize(model);
  if (arguments.Has("json")) {
    PrintJsonLine(ToJson(model, summary, path, file_bytes), console.out);
  } else {
    PrintReport(model, summary, path, file_bytes, console);
  }
  return absl::OkStatus();
}

}  // namespace

Command InspectCommand() {
  return {.name = "inspect",
          .synopsis = "FILE [--plan] [--json]",
          .summary = "Show the layers of a .bitstage or ONNX file, their bits, bytes and MACs.",
          .details =
              "bits: of a weight at rest, without scales (with them in the last line). activation: the grid of the\n"
              "layer's output; 4+2 bits: some channels have 2 more. share: of the file's bytes.",
          .flags = {{.name = "plan", .help = "how this CPU would run a quantized model: kernels, why, packed bytes"},
                    {.name = "json", .help = "print one JSON object in place of the table"}},
          .min_positional = 1,
          .max_positional = 1,
          .run = RunInspect};
}

}  // namespace bitstage
