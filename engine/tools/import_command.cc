#include <filesystem>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/model_file.h"
#include "engine/format/onnx_import.h"
#include "engine/tools/command.h"
#include "engine/tools/load_model.h"

namespace bitstage {
namespace {

absl::Status RunImport(const Arguments& arguments, Console& console) {
  const std::string output = arguments.Get("output");
  BITSTAGE_ASSIGN_OR_RETURN(Model model, ImportOnnxFile(arguments.positional()[0]));
  if (arguments.Has("name")) model.name = arguments.Get("name");
  if (arguments.Has("class-names")) BITSTAGE_RETURN_IF_ERROR(SetClassNames(arguments.Get("class-names"), model));
  model.provenance.command = absl::StrCat("import ", arguments.recorded());
  model.provenance.tool_version = std::string(ToolVersion());
  BITSTAGE_RETURN_IF_ERROR(WriteModelFile(model, output));
  std::error_code error;
  console.out << output << ": " << model.graph.nodes.size() << " nodes, " << std::filesystem::file_size(output, error)
              << " bytes, float32\n";
  return absl::OkStatus();
}

}  // namespace

Command ImportCommand() {
  return {
      .name = "import",
      .synopsis = "NET.onnx -o F.bitstage [--class-names FILE] [--name NAME]",
      .summary = "Turn an ONNX network into a float model file.",
      .flags = {{.name = "output", .letter = 'o', .value = "FILE", .help = "the model file to write", .required = true},
                {.name = "class-names", .value = "FILE", .help = "a text file, one class a line, kept as labels"},
                {.name = "name", .value = "NAME", .help = "the model's name, where the file's will not do"}},
      .min_positional = 1,
      .max_positional = 1,
      .run = RunImport};
}

}  // namespace bitstage
