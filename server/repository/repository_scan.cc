#include "server/repository/repository_scan.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "server/observability/text.h"

namespace bitstage::server {
namespace {

namespace fs = std::filesystem;

absl::Status FileError(const std::error_code& error, absl::string_view what, const fs::path& path) {
  const std::string text = absl::StrCat(what, " ", Quoted(path.string()), ": ", error.message());
  return error == std::errc::permission_denied ? absl::PermissionDeniedError(text) : absl::NotFoundError(text);
}

// The names of the folders in `path`, sorted, without the hidden ones.
absl::StatusOr<std::vector<std::string>> Folders(const fs::path& path) {
  std::error_code error;
  fs::directory_iterator entries(path, error);
  if (error) return FileError(error, "cannot list", path);
  std::vector<std::string> names;
  for (; entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().string();
    std::error_code entry_error;
    if (!absl::StartsWith(name, ".") && entries->is_directory(entry_error)) names.push_back(name);
  }
  if (error) return FileError(error, "cannot list", path);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

bool IsModelName(absl::string_view name) {
  constexpr size_t kMaxLength = 64;
  return !name.empty() && name.size() <= kMaxLength && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
         });
}

std::optional<int64_t> ParseVersion(absl::string_view text) {
  const bool digits =
      std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); });
  int64_t version = 0;
  if (text.empty() || !digits || text[0] == '0' || !absl::SimpleAtoi(text, &version)) return std::nullopt;
  return version;
}

absl::StatusOr<RepositoryListing> ScanRepository(const std::string& root) {
  RepositoryListing listing;
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<std::string> names, Folders(root));
  for (const std::string& name : names) {
    const fs::path folder = fs::path(root) / name;
    if (!IsModelName(name)) {
      listing.ignored.push_back(
          absl::StrCat(Quoted(folder.string()), " is no model: a name has 1 to 64 letters, digits, '.', '_' or '-'"));
      continue;
    }
    ModelOnDisk model{name, {}};
    absl::StatusOr<std::vector<std::string>> versions = Folders(folder);
    if (!versions.ok()) {
      listing.ignored.push_back(std::string(versions.status().message()));
    } else {
      for (const std::string& text : *versions) {
        if (const std::optional<int64_t> version = ParseVersion(text)) {
          model.versions.push_back(*version);
        } else {
          listing.ignored.push_back(absl::StrCat(Quoted((folder / text).string()),
                                                 " is no version: a version is a number without leading zeros"));
        }
      }
      std::sort(model.versions.begin(), model.versions.end());
    }
    listing.models.push_back(std::move(model));
  }
  return listing;
}

absl::StatusOr<std::string> ModelFilePath(const std::string& root, const std::string& name, int64_t version) {
  std::error_code error;
  const fs::path inside = fs::canonical(root, error);
  if (error) return FileError(error, "cannot open", root);
  const fs::path wanted = inside / name / std::to_string(version) / kModelFileName;
  const fs::path path = fs::canonical(wanted, error);
  if (error) return FileError(error, "cannot open", wanted);
  const auto [end_of_root, _] = std::mismatch(inside.begin(), inside.end(), path.begin(), path.end());
  if (end_of_root != inside.end()) {
    return absl::PermissionDeniedError(
        absl::StrCat(Quoted(wanted.string()), " leads out of the repository: to ", Quoted(path.string())));
  }
  return path.string();
}

}  // namespace bitstage::server
