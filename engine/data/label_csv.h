// Labels in a CSV file: "name,class" a line.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitstage {

struct LabelRow {
  std::string name;
  int label = 0;
  int line = 0;  // of the file, from 1
};

// A first line whose class is no number is a title. Empty lines are passed over. INVALID_ARGUMENT naming the line.
absl::StatusOr<std::vector<LabelRow>> ParseLabelCsv(absl::string_view text);

}  // namespace bitstage
