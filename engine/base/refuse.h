// Refuse: what a reader of outside bytes or a check of a graph answers, from pieces.
//
//   if (bits > 8) return Refuse("bits is ", bits, ", expected 1 to 8");
#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace bitstage {

// INVALID_ARGUMENT with `parts` one behind the other, as absl::StrCat.
template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

}  // namespace bitstage
