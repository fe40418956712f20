#include "engine/base/flags.h"

#include <cmath>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

constexpr absl::string_view kUsagePayload = "bitstage/usage";

bool LooksLikeFlag(const std::string& word) { return word.size() > 1 && word[0] == '-'; }

const Flag* Find(std::span<const Flag> flags, absl::string_view name, char letter) {
  for (const Flag& flag : flags) {
    if (letter != 0 ? flag.letter == letter : flag.name == name) return &flag;
  }
  return nullptr;
}

// "--calibration=/data/images" becomes "--calibration=images".
std::string WithoutFolders(const std::string& word) {
  const size_t equals = word[0] == '-' ? word.find('=') : std::string::npos;
  const size_t begin = equals == std::string::npos ? 0 : equals + 1;
  const size_t end = word.find_last_not_of('/');
  if (end == std::string::npos || end < begin) return word;
  const size_t slash = word.rfind('/', end);
  const size_t name = slash == std::string::npos || slash < begin ? begin : slash + 1;
  return absl::StrCat(word.substr(0, begin), word.substr(name, end + 1 - name));
}

}  // namespace

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload(kUsagePayload, absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) { return status.GetPayload(kUsagePayload).has_value(); }

absl::StatusOr<Arguments> Arguments::Parse(std::span<const Flag> flags, std::span<const std::string> words) {
  Arguments arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      arguments.positional_.insert(arguments.positional_.end(), words.begin() + static_cast<ptrdiff_t>(i) + 1,
                                   words.end());
      break;
    }
    if (!LooksLikeFlag(word)) {
      arguments.positional_.push_back(word);
      continue;
    }
    const bool is_long = word[1] == '-';
    const size_t equals = is_long ? word.find('=') : std::string::npos;
    const std::string shown = word.substr(0, equals);
    const bool is_letter = !is_long && word.size() == 2;
    const Flag* flag =
        is_long || is_letter ? Find(flags, is_long ? shown.substr(2) : "", is_letter ? word[1] : '\0') : nullptr;
    if (flag == nullptr) return UsageError(absl::StrCat("unknown flag ", shown));

    auto [entry, is_first] = arguments.values_.try_emplace(std::string(flag->name));
    if (!is_first && !flag->many) return UsageError(absl::StrCat(shown, " is given twice"));
    std::vector<std::string>& values = entry->second;
    if (flag->value.empty()) {
      if (equals != std::string::npos) return UsageError(absl::StrCat(shown, " takes no value"));
    } else if (equals != std::string::npos) {
      values.push_back(word.substr(equals + 1));
    } else {
      if (i + 1 == words.size()) return UsageError(absl::StrCat(shown, " needs a value: ", flag->value));
      values.push_back(words[++i]);
      while (flag->many && i + 1 < words.size() && !LooksLikeFlag(words[i + 1])) values.push_back(words[++i]);
    }
  }
  for (const Flag& flag : flags) {
    if (flag.required && !arguments.Has(flag.name)) {
      return UsageError(absl::StrCat("--", flag.name, " ", flag.value, " is missing"));
    }
  }
  arguments.words_.assign(words.begin(), words.end());
  std::vector<std::string> recorded = arguments.words_;
  for (std::string& word : recorded) word = WithoutFolders(word);
  arguments.recorded_ = absl::StrJoin(recorded, " ");
  return arguments;
}

std::string Arguments::Get(absl::string_view name, absl::string_view otherwise) const {
  const auto found = values_.find(std::string(name));
  return found == values_.end() || found->second.empty() ? std::string(otherwise) : found->second.front();
}

std::vector<std::string> Arguments::All(absl::string_view name) const {
  const auto found = values_.find(std::string(name));
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

absl::StatusOr<int64_t> Arguments::Int(absl::string_view name, int64_t otherwise, int64_t low, int64_t high) const {
  if (!Has(name)) return otherwise;
  int64_t value = 0;
  if (!absl::SimpleAtoi(Get(name), &value) || value < low || value > high) {
    return UsageError(
        absl::StrCat("--", name, " is '", Get(name), "', expected a whole number from ", low, " to ", high));
  }
  return value;
}

absl::StatusOr<double> Arguments::Number(absl::string_view name, double otherwise, double low, double high) const {
  if (!Has(name)) return otherwise;
  double value = 0;
  if (!absl::SimpleAtod(Get(name), &value) || !(value >= low && value <= high)) {
    return UsageError(absl::StrCat("--", name, " is '", Get(name), "', expected a number from ", low, " to ", high));
  }
  return value;
}

}  // namespace bitstage
