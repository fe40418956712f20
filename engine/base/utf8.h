// Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF). Pure.
#pragma once

#include <cstddef>

#include "absl/strings/string_view.h"

namespace bitstage {

// Bytes of the well-formed sequence that `text`, which is not empty, begins with; 0 where there is none.
size_t Utf8SequenceLength(absl::string_view text);

}  // namespace bitstage
