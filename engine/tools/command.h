// Command: one verb of bitstage-model. To add one: write VERB_command.cc with `Command VerbCommand()`, declare it
// below, and name it in main.cc's table and in this room's CMakeLists.txt.
//
//   absl::Status RunInspect(const Arguments& arguments, Console& console);
//   Command InspectCommand() {
//     return {.name = "inspect",
//             .synopsis = "FILE [--json]",
//             .summary = "Show what a model file holds.",
//             .flags = {{.name = "json", .help = "print one JSON object as the last line"}},
//             .min_positional = 1,
//             .max_positional = 1,
//             .run = RunInspect};
//   }
//
// The program parses and checks the arguments before `run` is called, and prints what it returns:
//   ok → exit code 0 · a UsageError → the message and the verb's usage, exit code 2 · any other error → the message, 1.
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "engine/base/flags.h"

namespace bitstage {

// Where a verb prints. Results go to `out` (with --json its last line is one JSON object), the rest to `err`.
struct Console {
  std::ostream& out;
  std::ostream& err;
  bool out_is_terminal = false;  // colour only where true
};

struct Command {
  absl::string_view name;
  absl::string_view synopsis;      // what follows the name, "NET.onnx -o F.bitstage"
  absl::string_view summary;       // one line
  absl::string_view details = {};  // paragraphs below the flags in --help; may be empty
  std::vector<Flag> flags = {};
  size_t min_positional = 0;
  size_t max_positional = 0;
  absl::Status (*run)(const Arguments& arguments, Console& console) = nullptr;
};

Command BenchCommand();
Command EvaluateCommand();
Command FinetuneCommand();
Command ImportCommand();
Command InspectCommand();
Command PartitionCommand();
Command QuantizeCommand();
Command ReportCommand();
Command RunCommand();
Command StudyCommand();

// The version of this build, "0.1.0".
absl::string_view ToolVersion();

// The whole program: words[0] is the verb. Returns the exit code.
int RunProgram(std::span<const Command> commands, std::span<const std::string> words, Console& console);

}  // namespace bitstage
