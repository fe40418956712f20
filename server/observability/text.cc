#include "server/observability/text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bitstage::server {
namespace {

constexpr absl::string_view kEllipsis = "...";

// Bytes of the well-formed UTF-8 sequence that `text` begins with; 0 where there is none.
size_t SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool outside = (lead == 0xED && second > 0x9F) || (lead == 0xF4 && second > 0x8F);
  return overlong || outside ? 0 : length;
}

// The escaped form of `text`, at most `limit` bytes long, the ellipsis included.
std::string EscapedAndCut(absl::string_view text, size_t limit) {
  std::string result;
  size_t last_fit = 0;  // where to cut so that the ellipsis still fits
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
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
