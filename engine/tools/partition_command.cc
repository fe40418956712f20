// bitstage-model partition: one quantized model in, one model repository a stage out.
#include <algorithm>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/base/table.h"
#include "engine/codec/frame.h"
#include "engine/format/model_file.h"
#include "engine/graph/partition.h"
#include "engine/tools/command.h"
#include "engine/tools/json.h"
#include "engine/tools/load_model.h"

namespace bitstage {
namespace {

namespace fs = std::filesystem;

// The value that leaves a stage.
struct BoundarySummary {
  std::string name;
  Shape shape;                       // per image
  double stored_bits = 0;            // an element, at the channels' widths
  std::optional<double> coded_bits;  // with the model's tables, on the calibration's images
  FrameCoding coding;
};

struct StageSummary {
  size_t layers = 0;
  int64_t macs = 0;
  uintmax_t file_bytes = 0;
  std::optional<BoundarySummary> boundary;  // not of the last stage
};

int64_t ChannelsOf(const Value& value) { return value.shape.rank() == 0 ? 1 : value.shape[0]; }

BoundarySummary Summarize(const Model& stage) {
  const Value& value = stage.graph.value(stage.graph.outputs[0]);
  const int64_t channels = ChannelsOf(value);
  BoundarySummary summary{value.name, value.shape, 0, std::nullopt, FrameCoding::kInline};
  for (int64_t c = 0; c < channels; ++c) summary.stored_bits += value.grid->BitsOf(c);
  summary.stored_bits /= static_cast<double>(channels);
  const auto found = stage.boundary_tables.find(value.name);
  if (found == stage.boundary_tables.end()) return summary;
  const BoundaryTables& tables = found->second;
  summary.coding = tables.preferred;
  if (tables.preferred == FrameCoding::kPlain) summary.coded_bits = tables.plain_bits;
  if (tables.preferred == FrameCoding::kContexts) summary.coded_bits = tables.contexts_bits;
  return summary;
}

StageSummary SummarizeStage(const Model& stage) {
  StageSummary summary;
  summary.layers = stage.graph.nodes.size();
  for (const Node& node : stage.graph.nodes) summary.macs += MacsOf(stage.graph, node);
  if (stage.stage->index + 1 < stage.stage->count) {
    summary.boundary = Summarize(stage);
  }
  return summary;
}

// As a server's model repository takes them.
absl::Status CheckName(const std::string& name) {
  constexpr size_t kMaxLength = 64;
  const bool fits =
      !name.empty() && name.size() <= kMaxLength && name[0] != '.' && std::all_of(name.begin(), name.end(), [](char c) {
        return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
      });
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("\"", name,
                                                 "\" cannot be a folder of a model repository (1 to 64 of A-Z a-z 0-9 "
                                                 ". _ -); choose another with --name"));
}

fs::path StageFolder(const fs::path& root, size_t index) { return root / absl::StrCat("stage-", index); }

absl::StatusOr<fs::path> MakeFile(const fs::path& root, size_t index, const std::string& name) {
  const fs::path folder = StageFolder(root, index) / name / "1";
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", folder.string(), ": ", error.message()));
  return folder / "model.bitstage";
}

void Print(const std::vector<StageSummary>& stages, Console& console) {
  int64_t macs = 0;
  for (const StageSummary& stage : stages) macs += stage.macs;
  Table table({{"stage", Align::kRight},
               {"layers", Align::kRight},
               {"MACs", Align::kRight},
               {"share", Align::kRight},
               {"bytes", Align::kRight},
               {"sends", Align::kLeft, 40},
               {"shape", Align::kRight},
               {"elements", Align::kRight},
               {"bits stored", Align::kRight},
               {"coded", Align::kRight}});
  for (size_t i = 0; i < stages.size(); ++i) {
    const StageSummary& stage = stages[i];
    const double share = macs == 0 ? 0 : static_cast<double>(stage.macs) / static_cast<double>(macs);
    std::vector<std::string> row = {absl::StrCat(i), absl::StrCat(stage.layers), Thousands(stage.macs),
                                    absl::StrFormat("%.1f %%", 100 * share),
                                    Thousands(static_cast<int64_t>(stage.file_bytes))};
    if (const auto& boundary = stage.boundary) {
      row.insert(row.end(), {boundary->name, boundary->shape.ToString(), Thousands(boundary->shape.elements()),
                             absl::StrFormat("%.2f", boundary->stored_bits),
                             boundary->coded_bits ? absl::StrFormat("%.2f", *boundary->coded_bits) : "unknown"});
    } else {
      row.insert(row.end(), {"the answer", "", "", "", ""});
    }
    table.AddRow(std::move(row));
  }
  table.Print(console.out, console.out_is_terminal);
  console.out << "bits: an element of what is sent, an image; coded: as the calibration's images were\n";
}

Json ToJson(const std::vector<StageSummary>& stages, const std::string& name, const std::string& pipeline_id) {
  Json list = Json::array();
  for (const StageSummary& stage : stages) {
    Json json = {
        {"layers", stage.layers}, {"macs", stage.macs}, {"file_bytes", stage.file_bytes}, {"boundary", nullptr}};
    if (const auto& boundary = stage.boundary) {
      json["boundary"] = {{"name", boundary->name},
                          {"shape", std::vector<int64_t>(boundary->shape.begin(), boundary->shape.end())},
                          {"elements", boundary->shape.elements()},
                          {"bits_stored", boundary->stored_bits},
                          {"bits_coded", boundary->coded_bits ? Json(*boundary->coded_bits) : Json()},
                          {"coding", std::string(Name(boundary->coding))}};
    }
    list.push_back(std::move(json));
  }
  return {{"name", name}, {"pipeline_id", pipeline_id}, {"stages", std::move(list)}};
}

absl::Status RunPartition(const Arguments& arguments, Console& console) {
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t count, arguments.Int("stages", 2, 2, kMaxStages));
  const fs::path root = arguments.Get("output");
  BITSTAGE_ASSIGN_OR_RETURN(Model model, LoadModel(arguments.positional()[0]));
  if (arguments.Has("name")) model.name = arguments.Get("name");
  BITSTAGE_RETURN_IF_ERROR(CheckName(model.name));
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Model> stages, Partition(model, static_cast<int>(count)));
  std::error_code error;
  if (const fs::path left = StageFolder(root, stages.size()); fs::exists(left, error)) {
    return absl::FailedPreconditionError(
        absl::StrCat(left.string(), " exists: the folder holds a partition into more stages; choose another"));
  }
  std::vector<StageSummary> summaries;
  for (size_t i = 0; i < stages.size(); ++i) {
    StageSummary summary = SummarizeStage(stages[i]);
    BITSTAGE_ASSIGN_OR_RETURN(const fs::path path, MakeFile(root, i, model.name));
    BITSTAGE_RETURN_IF_ERROR(WriteModelFile(stages[i], path.string()));
    summary.file_bytes = fs::file_size(path, error);
    summaries.push_back(std::move(summary));
  }
  Print(summaries, console);
  if (arguments.Has("json")) {
    PrintJsonLine(ToJson(summaries, model.name, stages[0].stage->pipeline_id), console.out);
  }
  return absl::OkStatus();
}

}  // namespace

Command PartitionCommand() {
  return {.name = "partition",
          .synopsis = "MODEL --stages K -o DIR [--name NAME] [--json]",
          .summary = "Cut a quantized model into stages that run in separate servers.",
          .details =
              "Writes DIR/stage-0, DIR/stage-1, …, each a model repository. Start the last stage first:\n"
              "  bitstage-server --model-repository DIR/stage-1 --stage --grpc-port 9001\n"
              "  bitstage-server --model-repository DIR/stage-0 --next-stage HOST:9001\n"
              "Clients ask the server of stage 0; a stage in the middle has both flags.",
          .flags = {{.name = "stages", .value = "K", .help = "how many stages, 2 to 64", .required = true},
                    {.name = "output", .letter = 'o', .value = "DIR", .help = "where to write", .required = true},
                    {.name = "name", .value = "NAME", .help = "the model's name, where the file's will not do"},
                    {.name = "json", .help = "print one JSON object as the last line"}},
          .min_positional = 1,
          .max_positional = 1,
          .run = RunPartition};
}

}  // namespace bitstage
