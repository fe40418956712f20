// Flags of one verb: a small parser, because every verb has its own.
//
//   const Flag kFlags[] = {{.name = "output", .letter = 'o', .value = "FILE", .help = "where to write", .required =
//   true},
//                          {.name = "json", .help = "print one JSON object as the last line"}};
//   BITSTAGE_ASSIGN_OR_RETURN(const Arguments arguments, Arguments::Parse(kFlags, {"net.onnx", "-o", "net.bitstage"}));
//   arguments.positional()[0]; arguments.Get("output"); arguments.Has("json");
//
// Taken: --name VALUE, --name=VALUE, -n VALUE, --switch, and `--` after which everything is positional.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitstage {

struct Flag {
  absl::string_view name;        // without the dashes
  char letter = 0;               // 'o' for -o, 0 for none
  absl::string_view value = {};  // what help calls the value, "FILE"; empty for a switch
  absl::string_view help = {};
  bool required = false;
  bool many = false;  // takes all words up to the next flag, and may be repeated
};

// INVALID_ARGUMENT, marked so that the program ends with the verb's usage and exit code 2.
absl::Status UsageError(absl::string_view message);
bool IsUsageError(const absl::Status& status);

class Arguments {
 public:
  // A UsageError for an unknown flag, a missing or superfluous value, a flag given twice, or a required one missing.
  static absl::StatusOr<Arguments> Parse(std::span<const Flag> flags, std::span<const std::string> words);

  [[nodiscard]] const std::vector<std::string>& positional() const { return positional_; }
  [[nodiscard]] bool Has(absl::string_view name) const { return values_.contains(std::string(name)); }
  // The value of the flag, or `otherwise` where it was not given.
  [[nodiscard]] std::string Get(absl::string_view name, absl::string_view otherwise = {}) const;
  // All values of a flag that takes many; empty where it was not given.
  [[nodiscard]] std::vector<std::string> All(absl::string_view name) const;
  // A UsageError for what is not a number or is outside [low, high].
  [[nodiscard]] absl::StatusOr<int64_t> Int(absl::string_view name, int64_t otherwise, int64_t low, int64_t high) const;
  [[nodiscard]] absl::StatusOr<double> Number(absl::string_view name, double otherwise, double low, double high) const;

  // The words as given.
  [[nodiscard]] const std::vector<std::string>& words() const { return words_; }
  // The same in one line, with paths cut down to file names: what provenance records.
  [[nodiscard]] const std::string& recorded() const { return recorded_; }

 private:
  std::vector<std::string> positional_;
  std::map<std::string, std::vector<std::string>> values_;
  std::vector<std::string> words_;
  std::string recorded_;
};

}  // namespace bitstage
