// Text as HTML: escaping, numbers for people, data URIs.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace bitstage::report {

// Safe in element content and in quoted attributes. Bytes that are not UTF-8 and control characters become U+FFFD.
std::string Escape(absl::string_view text);

std::string Base64(absl::string_view bytes);

std::string Percent(double share);                            // "91.88 %"
std::string Points(double share);                             // "+0.25", a difference of shares in points
std::string Kilobytes(int64_t bytes);                         // "154.8 KB", "1.2 MB"
std::string Counted(int64_t number, absl::string_view noun);  // "1 cut", "1,200 cuts"
std::string Short(double number);                             // three significant digits: "0.0431", "1.2e-05"

// <tag title="text">shortened</tag>: names that end where they differ lose their middle beyond `length` characters.
std::string ShortName(absl::string_view name, size_t length);

}  // namespace bitstage::report
