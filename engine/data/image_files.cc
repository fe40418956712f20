#include <map>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "engine/data/record.h"

namespace bitstage {
namespace {

enum class Kind : uint8_t { kOther, kJpeg, kPng };

absl::string_view LastPart(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

Kind KindOf(absl::string_view name) {
  const absl::string_view last = LastPart(name);
  if (absl::StartsWith(last, ".")) return Kind::kOther;  // what file managers leave behind
  if (absl::EndsWithIgnoreCase(last, ".jpg") || absl::EndsWithIgnoreCase(last, ".jpeg")) return Kind::kJpeg;
  return absl::EndsWithIgnoreCase(last, ".png") ? Kind::kPng : Kind::kOther;
}

std::string Stem(absl::string_view name) {
  const absl::string_view last = LastPart(name);
  return std::string(last.substr(0, last.rfind('.')));
}

}  // namespace

Records ImagesOf(std::vector<FileRef> files) {
  std::set<std::string> jpeg_stems;
  for (const FileRef& file : files) {
    if (KindOf(file.name) == Kind::kJpeg) jpeg_stems.insert(Stem(file.name));
  }
  Records records;
  std::map<std::string, FileRef> maps;
  for (FileRef& file : files) {
    const Kind kind = KindOf(file.name);
    if (kind == Kind::kOther) continue;
    if (kind == Kind::kPng && jpeg_stems.contains(Stem(file.name))) {
      maps.emplace(Stem(file.name), std::move(file));
      continue;
    }
    Record record;
    record.name = file.name;
    record.file = std::move(file);
    records.push_back(std::move(record));
  }
  for (Record& record : records) {
    if (KindOf(record.name) != Kind::kJpeg) continue;
    const auto map = maps.find(Stem(record.name));
    if (map != maps.end()) record.label_map = map->second;
  }
  return records;
}

}  // namespace bitstage
