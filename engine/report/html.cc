#include "engine/report/html.h"

#include <cmath>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/table.h"
#include "engine/base/utf8.h"

namespace bitstage::report {
namespace {

constexpr absl::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace

std::string Escape(absl::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t length = Utf8SequenceLength(text.substr(i));
    const char c = text[i];
    if (length == 0 || (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7F))) {
      absl::StrAppend(&escaped, c == '\n' || c == '\t' ? absl::string_view(" ") : kReplacement);
      ++i;
      continue;
    }
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped.append(text.data() + i, length);
    }
    i += length;
  }
  return escaped;
}

std::string Base64(absl::string_view bytes) { return absl::Base64Escape(bytes); }

std::string Percent(double share) { return absl::StrFormat("%.2f %%", 100 * share); }

std::string Points(double share) {
  // A minus sign, not a hyphen.
  const std::string digits = absl::StrFormat("%.2f", std::abs(100 * share));
  if (digits == "0.00") return digits;
  return absl::StrCat(share < 0 ? "−" : "+", digits);
}

std::string Kilobytes(int64_t bytes) {
  const auto amount = static_cast<double>(bytes);
  if (bytes < 1000) return absl::StrCat(bytes, " B");
  if (bytes < 1'000'000) return absl::StrFormat(bytes < 100'000 ? "%.1f KB" : "%.0f KB", amount / 1e3);
  return absl::StrFormat("%.2f MB", amount / 1e6);
}

std::string Counted(int64_t number, absl::string_view noun) {
  return absl::StrCat(Thousands(number), " ", noun, number == 1 ? "" : "s");
}

std::string Short(double number) { return absl::StrFormat("%.3g", number); }

std::string ShortName(absl::string_view name, size_t length) {
  std::string shown(name);
  if (shown.size() > length) {
    // Continuation bytes go with their character.
    const auto boundary = [&](size_t at) {
      while (at > 0 && (static_cast<unsigned char>(name[at]) & 0xC0) == 0x80) --at;
      return at;
    };
    const size_t head = boundary(length / 3);
    const size_t tail = boundary(name.size() - (length - length / 3 - 1));
    shown = absl::StrCat(name.substr(0, head), "…", name.substr(tail));
  }
  return absl::StrCat("<span title=\"", Escape(name), "\">", Escape(shown), "</span>");
}

}  // namespace bitstage::report
