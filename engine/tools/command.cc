#include "engine/tools/command.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

constexpr absl::string_view kProgram = "bitstage-model";
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

std::string Usage(const Command& command) {
  return absl::StrCat("usage: ", kProgram, " ", command.name, " ", command.synopsis, "\n");
}

std::string Help(const Command& command) {
  std::string help = absl::StrCat(Usage(command), "\n", command.summary, "\n");
  std::vector<std::string> heads;
  size_t width = 0;
  for (const Flag& flag : command.flags) {
    const std::string letter = flag.letter != 0 ? absl::StrCat("-", std::string(1, flag.letter), ", ") : "    ";
    const absl::string_view space = flag.value.empty() ? "" : " ";
    heads.push_back(absl::StrCat(letter, "--", flag.name, space, flag.value, flag.many ? "..." : ""));
    width = std::max(width, heads.back().size());
  }
  if (!heads.empty()) absl::StrAppend(&help, "\n");
  for (size_t i = 0; i < heads.size(); ++i) {
    absl::StrAppend(&help, absl::StrFormat("  %-*s  %s\n", static_cast<int>(width), heads[i], command.flags[i].help));
  }
  if (!command.details.empty()) absl::StrAppend(&help, "\n", command.details, "\n");
  return help;
}

std::string Help(std::span<const Command> commands) {
  std::string help = absl::StrCat("usage: ", kProgram, " VERB …\n\n");
  for (const Command& command : commands) {
    absl::StrAppend(&help, absl::StrFormat("  %-10s %s\n", command.name, command.summary));
  }
  absl::StrAppend(&help, "\n", kProgram, " VERB --help explains a verb; ", kProgram, " --version names the build.\n");
  return help;
}

absl::StatusOr<Arguments> ParseFor(const Command& command, std::span<const std::string> words) {
  BITSTAGE_ASSIGN_OR_RETURN(Arguments arguments, Arguments::Parse(command.flags, words));
  const size_t count = arguments.positional().size();
  if (count < command.min_positional) return UsageError("an argument is missing");
  if (count > command.max_positional) {
    return UsageError(absl::StrCat("unexpected argument '", arguments.positional()[command.max_positional], "'"));
  }
  return arguments;
}

bool AsksForHelp(std::span<const std::string> words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::any_of(words.begin(), end, [](const std::string& word) { return word == "--help" || word == "-h"; });
}

}  // namespace

absl::string_view ToolVersion() { return BITSTAGE_VERSION; }

int RunProgram(std::span<const Command> commands, std::span<const std::string> words, Console& console) {
  if (words.empty()) {
    console.err << Help(commands);
    return kExitUsage;
  }
  const std::string& verb = words[0];
  if (verb == "--help" || verb == "-h" || verb == "help") {
    console.out << Help(commands);
    return 0;
  }
  if (verb == "--version") {
    console.out << kProgram << " " << ToolVersion() << "\n";
    return 0;
  }
  const auto command = std::find_if(commands.begin(), commands.end(), [&](const Command& c) { return c.name == verb; });
  if (command == commands.end()) {
    console.err << kProgram << ": unknown verb '" << verb << "'\n\n" << Help(commands);
    return kExitUsage;
  }
  if (AsksForHelp(words.subspan(1))) {
    console.out << Help(*command);
    return 0;
  }
  absl::StatusOr<Arguments> arguments = ParseFor(*command, words.subspan(1));
  const absl::Status status = arguments.ok() ? command->run(*arguments, console) : arguments.status();
  console.out.flush();
  if (status.ok()) return 0;
  console.err << kProgram << " " << verb << ": " << std::string(status.message()) << "\n";
  if (!IsUsageError(status)) return kExitFailed;
  console.err << Usage(*command) << "'" << kProgram << " " << verb << " --help' lists the flags.\n";
  return kExitUsage;
}

}  // namespace bitstage
