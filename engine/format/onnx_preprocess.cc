#include "engine/format/onnx_preprocess.h"

#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

using Json = nlohmann::json;

// ImageNet's habit: the shorter side to 256, then the central crop.
constexpr int kResizeShorter = 256;

absl::Status Refuse(absl::string_view field, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat("metadata 'preprocess', field '", field, "': ", message));
}

std::string Text(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

absl::StatusOr<std::vector<float>> Numbers(const Json& object, const char* field, int channels) {
  const auto found = object.find(field);
  std::vector<float> numbers;
  if (found != object.end() && found->is_array() && found->size() <= 3) {
    for (const Json& entry : *found) {
      if (entry.is_number()) numbers.push_back(entry.get<float>());
    }
  }
  const bool finite = std::all_of(numbers.begin(), numbers.end(), [](float x) { return std::isfinite(x); });
  if (finite && (numbers.size() == 1 || numbers.size() == static_cast<size_t>(channels))) return numbers;
  return Refuse(field, absl::StrCat("expected an array of 1 or ", channels, " numbers"));
}

// Reads a formula from left to right.
class Formula {
 public:
  explicit Formula(absl::string_view text) : text_(absl::StrReplaceAll(text, {{" ", ""}})), rest_(text_) {}

  bool Take(absl::string_view token) { return absl::ConsumePrefix(&rest_, token); }
  bool TakeNumber(float& number) {
    size_t length = 0;
    while (length < rest_.size() && (std::isdigit(static_cast<unsigned char>(rest_[length])) || rest_[length] == '.'))
      ++length;
    if (!absl::SimpleAtof(rest_.substr(0, length), &number) || !std::isfinite(number)) return false;
    rest_.remove_prefix(length);
    return true;
  }
  // Nothing left but a remark in parentheses.
  [[nodiscard]] bool AtEnd() const { return rest_.empty() || (rest_.front() == '(' && rest_.back() == ')'); }

 private:
  std::string text_;
  absl::string_view rest_;
};

// [ "(" ] x [ "/" a | "*" a ] [ "-" (b | mean) ] [ ")" "/" (c | std) ]
absl::Status ParseFormula(const Json& object, Preprocessing& result) {
  const std::string text = Text(object, "formula");
  const absl::Status refusal =
      Refuse("formula", absl::StrCat("'", absl::CHexEscape(text.substr(0, 80)), "' is not understood"));
  Formula formula(text);
  const bool grouped = formula.Take("(");
  if (!formula.Take("x")) return refusal;
  float number = 1;
  if (formula.Take("/")) {
    if (!formula.TakeNumber(number) || !(number > 0)) return refusal;
    result.scale = 1.0f / number;
  } else if (formula.Take("*")) {
    if (!formula.TakeNumber(result.scale) || !(result.scale > 0)) return refusal;
  }
  if (formula.Take("-")) {
    if (formula.Take("mean")) {
      BITSTAGE_ASSIGN_OR_RETURN(result.mean, Numbers(object, "mean", result.channels()));
    } else {
      if (!formula.TakeNumber(number)) return refusal;
      result.mean = {number};
    }
  }
  if (grouped) {
    if (!formula.Take(")/")) return refusal;
    if (formula.Take("std")) {
      BITSTAGE_ASSIGN_OR_RETURN(result.std, Numbers(object, "std", result.channels()));
    } else {
      if (!formula.TakeNumber(number)) return refusal;
      result.std = {number};
    }
    for (const float std : result.std) {
      if (!(std > 0)) return Refuse("std", absl::StrCat("is ", std, ", expected a positive number"));
    }
  }
  return formula.AtEnd() ? absl::OkStatus() : refusal;
}

absl::Status ParseColor(const Json& object, int64_t channels, Preprocessing& result) {
  const std::string color = Text(object, "color");
  for (const ColorOrder order : {ColorOrder::kRgb, ColorOrder::kBgr, ColorOrder::kGray}) {
    if (color != Name(order)) continue;
    result.color = order;
    if (result.channels() == channels) return absl::OkStatus();
    return Refuse("color", absl::StrCat(color, " has ", result.channels(), " channels, the input has ", channels));
  }
  return Refuse("color", "expected RGB, BGR or gray");
}

absl::Status ParseGeometry(const Json& object, Preprocessing& result) {
  const auto size = object.find("size");
  if (size != object.end() &&
      (!size->is_number_integer() || size->get<int64_t>() != result.width || result.width != result.height)) {
    return Refuse("size", absl::StrCat("differs from the input's ", result.width, "x", result.height));
  }
  const std::string geometry = Text(object, "geometry");
  if (geometry.empty()) {
    if (object.contains("geometry")) return Refuse("geometry", "expected a text");
    if (size == object.end()) return absl::OkStatus();
    result.geometry = Geometry::kCenterCrop;
    result.resize_shorter = std::max(kResizeShorter, result.width);
    return absl::OkStatus();
  }
  if (geometry.find("square crop") != std::string::npos) {
    result.geometry = Geometry::kCropSquare;
    return absl::OkStatus();
  }
  const size_t filled = geometry.find("-filled");
  if (geometry.find("longer side") == std::string::npos || filled == std::string::npos) {
    return Refuse("geometry", absl::StrCat("'", absl::CHexEscape(geometry.substr(0, 120)), "' is not understood"));
  }
  size_t digits = filled;
  while (digits > 0 && std::isdigit(static_cast<unsigned char>(geometry[digits - 1]))) --digits;
  if (!absl::SimpleAtoi(geometry.substr(digits, filled - digits), &result.pad_value) || result.pad_value > 255) {
    return Refuse("geometry", "the filling is not an 8-bit number");
  }
  result.geometry = Geometry::kLetterbox;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Preprocessing> ParseOnnxPreprocess(absl::string_view json, const Shape& input) {
  if (json.size() > 16'384) return absl::InvalidArgumentError("metadata 'preprocess': longer than 16384 bytes");
  const Json object = Json::parse(json.begin(), json.end(), nullptr, false);
  if (!object.is_object()) return absl::InvalidArgumentError("metadata 'preprocess': not a JSON object");
  if (input.rank() != 3 || input[1] > (1 << 16) || input[2] > (1 << 16)) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata 'preprocess': the input ", input.ToString(), " is not channels x height x width"));
  }
  Preprocessing result;
  result.height = static_cast<int>(input[1]);
  result.width = static_cast<int>(input[2]);
  BITSTAGE_RETURN_IF_ERROR(ParseColor(object, input[0], result));
  BITSTAGE_RETURN_IF_ERROR(ParseFormula(object, result));
  BITSTAGE_RETURN_IF_ERROR(ParseGeometry(object, result));
  return result;
}

}  // namespace bitstage
