#include "engine/data/label_csv.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace bitstage {
namespace {

constexpr int kMaxLabel = 1'000'000;

}  // namespace

absl::StatusOr<std::vector<LabelRow>> ParseLabelCsv(absl::string_view text) {
  std::vector<LabelRow> rows;
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    // A name may hold commas; a class number does not.
    const size_t comma = line.rfind(',');
    if (comma == absl::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line_number, ": expected \"name,class\", found no comma"));
    }
    const absl::string_view name = absl::StripAsciiWhitespace(line.substr(0, comma));
    const absl::string_view number = absl::StripAsciiWhitespace(line.substr(comma + 1));
    int label = 0;
    if (!absl::SimpleAtoi(number, &label)) {
      if (line_number == 1) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line_number, ": the class is no number: \"", number.substr(0, 40), "\""));
    }
    if (label < 0 || label > kMaxLabel || name.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", line_number, ": expected a name and a class from 0 to ", kMaxLabel));
    }
    rows.push_back({std::string(name), label, line_number});
  }
  if (rows.empty()) return absl::InvalidArgumentError("no labels");
  return rows;
}

}  // namespace bitstage
