#include "engine/data/tar.h"

#include <algorithm>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

// POSIX.1-1988 ustar header: offsets and widths within its 512 bytes.
constexpr size_t kBlock = 512;
constexpr size_t kName = 0, kNameBytes = 100;
constexpr size_t kSize = 124, kSizeBytes = 12;
constexpr size_t kChecksum = 148, kChecksumBytes = 8;
constexpr size_t kType = 156;
constexpr size_t kMagic = 257;
constexpr size_t kPrefix = 345, kPrefixBytes = 155;

constexpr size_t kMaxNameBytes = 4096;

// A field up to its NUL.
absl::string_view Text(std::span<const std::byte> bytes, size_t offset, size_t size) {
  const absl::string_view field(reinterpret_cast<const char*>(bytes.data()) + offset, size);
  return field.substr(0, field.find('\0'));
}

// Octal digits between blanks; nullopt for anything else, GNU's binary form of sizes over 8 GiB included.
std::optional<uint64_t> Octal(std::span<const std::byte> bytes, size_t offset, size_t size) {
  absl::string_view text = Text(bytes, offset, size);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.empty() || text.size() > 12) return std::nullopt;
  uint64_t value = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '7') return std::nullopt;
    value = value * 8 + static_cast<uint64_t>(digit - '0');
  }
  return value;
}

// The sum of the header's bytes with the checksum field taken as blanks.
bool HasRightChecksum(std::span<const std::byte> header) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    sum += i >= kChecksum && i < kChecksum + kChecksumBytes ? uint64_t{' '} : uint64_t{ByteAt(header, i)};
  }
  return Octal(header, kChecksum, kChecksumBytes) == sum;
}

// pax records: "LENGTH key=value\n", LENGTH counting itself. The value of `path`, if any.
std::optional<std::string> PaxPath(absl::string_view records) {
  std::optional<std::string> path;
  while (!records.empty()) {
    const size_t blank = records.find(' ');
    size_t length = 0;
    if (blank == absl::string_view::npos || !absl::SimpleAtoi(records.substr(0, blank), &length) ||
        length <= blank + 1 || length > records.size()) {
      break;
    }
    const absl::string_view record = records.substr(blank + 1, length - blank - 2);
    constexpr absl::string_view kKey = "path=";
    if (record.substr(0, kKey.size()) == kKey) path = std::string(record.substr(kKey.size()));
    records.remove_prefix(length);
  }
  return path;
}

std::string NameOf(std::span<const std::byte> header) {
  const absl::string_view name = Text(header, kName, kNameBytes);
  const bool is_posix = Text(header, kMagic, 6) == "ustar";  // GNU's "ustar  " has other fields in the prefix's place
  const absl::string_view prefix = is_posix ? Text(header, kPrefix, kPrefixBytes) : "";
  return prefix.empty() ? std::string(name) : absl::StrCat(prefix, "/", name);
}

}  // namespace

bool LooksLikeTar(std::span<const std::byte> bytes) {
  return bytes.size() >= kBlock && bytes.size() % kBlock == 0 && HasRightChecksum(bytes.first(kBlock));
}

absl::StatusOr<std::vector<FileRef>> ListTar(std::span<const std::byte> bytes) {
  std::vector<FileRef> files;
  std::optional<std::string> long_name;
  for (size_t offset = 0; bytes.size() - offset >= kBlock;) {
    const std::span<const std::byte> header = bytes.subspan(offset, kBlock);
    if (std::all_of(header.begin(), header.end(), [](std::byte b) { return b == std::byte{0}; })) return files;
    const std::optional<uint64_t> size = Octal(header, kSize, kSizeBytes);
    if (!HasRightChecksum(header) || !size) {
      return absl::InvalidArgumentError(absl::StrCat("tar: damaged header at byte ", offset));
    }
    const size_t begin = offset + kBlock;
    if (*size > bytes.size() - begin) {
      return absl::InvalidArgumentError(absl::StrCat("tar: truncated: the member at byte ", offset, " has ", *size,
                                                     " bytes, ", bytes.size() - begin, " are left"));
    }
    const std::span<const std::byte> content = bytes.subspan(begin, static_cast<size_t>(*size));
    const char type = static_cast<char>(header[kType]);
    if (type == 'L' || type == 'x') {
      const absl::string_view text = Text(content, 0, std::min(content.size(), kMaxNameBytes));
      long_name = type == 'L' ? std::string(text) : PaxPath(text);
    } else {
      if (type == '0' || type == '\0') {
        files.push_back({long_name ? *std::move(long_name) : NameOf(header), content, ""});
      }
      if (type != 'g') long_name.reset();
    }
    // The last block may be cut short by the end of the file.
    offset = begin + std::min(bytes.size() - begin, (content.size() + kBlock - 1) / kBlock * kBlock);
  }
  return files;
}

}  // namespace bitstage
