#include "server/observability/text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/utf8.h"

namespace bitstage::server {
namespace {

constexpr absl::string_view kEllipsis = "...";

// The escaped form of `text`, at most `limit` bytes long, the ellipsis included.
std::string EscapedAndCut(absl::string_view text, size_t limit) {
  std::string result;
  size_t last_fit = 0;  // where to cut so that the ellipsis still fits
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    const bool printable = length > 1 || (length == 1 && text[0] >= 0x20 && text[0] != 0x7F);
    const size_t taken = length == 0 ? 1 : length;
    std::string piece = printable ? std::string(text.substr(0, taken))
                                  : absl::StrFormat("\\x%02x", static_cast<unsigned char>(text[0]));
    if (result.size() + piece.size() > limit) {
      result.resize(last_fit);
      return absl::StrCat(result, kEllipsis);
    }
    result += piece;
    if (result.size() + kEllipsis.size() <= limit) last_fit = result.size();
    text.remove_prefix(taken);
  }
  return result;
}

}  // namespace

std::string Quoted(absl::string_view text) { return absl::StrCat("'", EscapedAndCut(text, kMaxQuotedBytes), "'"); }

std::string SafeMessage(absl::string_view text) { return EscapedAndCut(text, kMaxTextBytes); }

}  // namespace bitstage::server
