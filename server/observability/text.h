// Text from outside, made safe to put into status messages and logs: nobody's 200 KB name may push the cause of an
// error out of the client's header limit, and no control character may forge a log line.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace bitstage::server {

inline constexpr size_t kMaxQuotedBytes = 128;
inline constexpr size_t kMaxTextBytes = 1024;

// 'text', cut to kMaxQuotedBytes (an ellipsis shows it) and escaped: control characters and bytes that are not UTF-8 as
// \xNN.
std::string Quoted(absl::string_view text);

// A whole message: at most kMaxTextBytes, escaped in the same way. Never cuts a UTF-8 sequence apart.
std::string SafeMessage(absl::string_view text);

}  // namespace bitstage::server
