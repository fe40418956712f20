#include "engine/format/model_container.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/crc32c.h"
#include "engine/base/status_macros.h"
#include "engine/format/model_format.h"

namespace bitstage {
namespace {

using namespace model_format;
static_assert(std::endian::native == std::endian::little, "fields are copied as they lie in the file");

template <typename T>
void Store(std::string& file, size_t at, T value) {
  std::memcpy(file.data() + at, &value, sizeof(value));
}

template <typename T>
T Load(std::span<const std::byte> bytes, size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof(value));
  return value;
}

constexpr size_t RoundUpToAlignment(size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

bool IsZero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

// The header's checksum counts its own field as 0.
uint32_t HeaderCrc(std::span<const std::byte> header_and_table) {
  std::vector<std::byte> copy(header_and_table.begin(), header_and_table.end());
  std::memset(copy.data() + kHeaderCrcAt, 0, sizeof(uint32_t));
  return Crc32c(copy);
}

absl::string_view SectionName(uint32_t kind) {
  switch (static_cast<SectionKind>(kind)) {
    case SectionKind::kMeta: return "META";
    case SectionKind::kWeights: return "WEIGHTS";
    case SectionKind::kFloats: return "FLOATS";
  }
  return "unknown";
}

template <typename... Parts>
absl::Status Damaged(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat(parts...));
}

struct Header {
  size_t section_count = 0;
  size_t table_end = 0;
};

absl::StatusOr<Header> ParseHeader(std::span<const std::byte> bytes) {
  const size_t compared = std::min(bytes.size(), kMagic.size());
  if (bytes.empty() || std::memcmp(bytes.data(), kMagic.data(), compared) != 0) {
    return absl::InvalidArgumentError("header: magic is not 'BITSTAGE': not a .bitstage model file");
  }
  if (bytes.size() < kHeaderSize) {
    return Damaged("header: the file ends after ", bytes.size(), " bytes, expected at least ", kHeaderSize);
  }
  const auto version = Load<uint32_t>(bytes, kVersionAt);
  if (version > kVersion) {
    return absl::UnimplementedError(absl::StrCat("header: format version ", version, " is newer than this build's ",
                                                 kVersion, ": update bitstage"));
  }
  if (version == 0) return Damaged("header: format version is 0, expected 1 to ", kVersion);
  const auto file_size = Load<uint64_t>(bytes, kFileSizeAt);
  if (file_size != bytes.size()) {
    return Damaged("header: file_size says ", file_size, " bytes, the file has ", bytes.size());
  }
  Header header;
  header.section_count = Load<uint32_t>(bytes, kSectionCountAt);
  if (header.section_count < 1 || header.section_count > kMaxSections) {
    return Damaged("header: section_count is ", header.section_count, ", expected 1 to ", kMaxSections);
  }
  header.table_end = kHeaderSize + header.section_count * kEntrySize;
  if (header.table_end > bytes.size()) {
    return Damaged("section table: the file ends after ", bytes.size(), " bytes, expected at least ", header.table_end);
  }
  const auto crc = Load<uint32_t>(bytes, kHeaderCrcAt);
  const uint32_t computed = HeaderCrc(bytes.first(header.table_end));
  if (crc != computed) {
    return Damaged("header: header_crc is ", absl::Hex(crc), ", but the bytes give ", absl::Hex(computed));
  }
  if (!IsZero(bytes.subspan(kHeaderUsed, kHeaderSize - kHeaderUsed))) {
    return Damaged("header: reserved bytes are not zero");
  }
  return header;
}

}  // namespace

std::string BuildContainer(const ModelSections& sections, uint32_t version) {
  const std::array<std::pair<SectionKind, std::span<const std::byte>>, 3> all = {
      {{SectionKind::kMeta, sections.meta},
       {SectionKind::kWeights, sections.weights},
       {SectionKind::kFloats, sections.floats}}};
  const size_t table_end = kHeaderSize + all.size() * kEntrySize;
  size_t size = RoundUpToAlignment(table_end);
  for (const auto& [kind, bytes] : all) size += RoundUpToAlignment(bytes.size());

  std::string file(size, '\0');
  std::memcpy(file.data(), kMagic.data(), kMagic.size());
  Store<uint32_t>(file, kVersionAt, version);
  Store<uint32_t>(file, kSectionCountAt, static_cast<uint32_t>(all.size()));
  Store<uint64_t>(file, kFileSizeAt, size);
  size_t entry = kHeaderSize;
  size_t offset = RoundUpToAlignment(table_end);
  for (const auto& [kind, bytes] : all) {
    Store<uint32_t>(file, entry + kKindAt, static_cast<uint32_t>(kind));
    Store<uint64_t>(file, entry + kOffsetAt, offset);
    Store<uint64_t>(file, entry + kSizeAt, bytes.size());
    Store<uint32_t>(file, entry + kCrcAt, Crc32c(bytes));
    if (!bytes.empty()) std::memcpy(file.data() + offset, bytes.data(), bytes.size());
    entry += kEntrySize;
    offset += RoundUpToAlignment(bytes.size());
  }
  Store<uint32_t>(file, kHeaderCrcAt, HeaderCrc(std::as_bytes(std::span(file)).first(table_end)));
  return file;
}

absl::StatusOr<ModelSections> ParseContainer(std::span<const std::byte> bytes) {
  BITSTAGE_ASSIGN_OR_RETURN(const Header header, ParseHeader(bytes));
  std::array<std::optional<std::span<const std::byte>>, 4> found;  // by kind; 0 is unused
  size_t used = header.table_end;
  for (size_t i = 0; i < header.section_count; ++i) {
    const std::span<const std::byte> entry = bytes.subspan(kHeaderSize + i * kEntrySize, kEntrySize);
    const auto kind = Load<uint32_t>(entry, kKindAt);
    const auto flags = Load<uint32_t>(entry, kFlagsAt);
    const auto offset = Load<uint64_t>(entry, kOffsetAt);
    const auto size = Load<uint64_t>(entry, kSizeAt);
    const std::string where = absl::StrCat("section ", i, " (", SectionName(kind), "): ");

    const size_t expected = RoundUpToAlignment(used);
    if (offset != expected) return Damaged(where, "offset is ", offset, ", expected ", expected);
    if (offset > bytes.size() || size > bytes.size() - offset) {
      return Damaged(where, size, " bytes at ", offset, " end after the file's ", bytes.size());
    }
    if (!IsZero(bytes.subspan(used, offset - used))) return Damaged(where, "padding before it is not zero");
    if (!IsZero(entry.subspan(kEntryUsed))) return Damaged(where, "reserved bytes of the table are not zero");
    if ((flags & ~kFlagSkippable) != 0) return Damaged(where, "flags are ", absl::Hex(flags), ", expected 0 or 1");
    const std::span<const std::byte> section = bytes.subspan(offset, size);
    const auto crc = Load<uint32_t>(entry, kCrcAt);
    if (const uint32_t computed = Crc32c(section); crc != computed) {
      return Damaged(where, "crc is ", absl::Hex(crc), ", but the bytes give ", absl::Hex(computed));
    }
    used = offset + size;

    if (kind == 0 || kind >= found.size()) {
      if ((flags & kFlagSkippable) != 0) continue;
      return absl::UnimplementedError(absl::StrCat(where, "kind ", kind, " is not known to this build"));
    }
    if (found[kind]) return absl::InvalidArgumentError(absl::StrCat(where, "is there twice"));
    found[kind] = section;
  }
  if (RoundUpToAlignment(used) != bytes.size()) {
    return Damaged("header: the last section ends at ", used, ", but the file has ", bytes.size(), " bytes");
  }
  if (!IsZero(bytes.subspan(used))) return Damaged("padding after the last section is not zero");
  for (uint32_t kind = 1; kind < found.size(); ++kind) {
    if (!found[kind]) return absl::InvalidArgumentError(absl::StrCat("section ", SectionName(kind), " is missing"));
  }
  ModelSections sections{.meta = *found[1], .weights = *found[2], .floats = *found[3]};
  if (sections.meta.size() > kMaxMetaBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("META: ", sections.meta.size(), " bytes, expected at most ", kMaxMetaBytes));
  }
  return sections;
}

}  // namespace bitstage
