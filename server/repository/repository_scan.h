// What a model repository holds on disk: ROOT/NAME/VERSION/model.bitstage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitstage::server {

inline constexpr char kModelFileName[] = "model.bitstage";

struct ModelOnDisk {
  std::string name;
  std::vector<int64_t> versions;  // rising
};

struct RepositoryListing {
  std::vector<ModelOnDisk> models;   // by name; those without a version too
  std::vector<std::string> ignored;  // folders that are no model or no version, each with the reason
};

// 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot.
bool IsModelName(absl::string_view name);

// A positive int64 in decimal digits alone: no sign, no blank, no leading zero.
std::optional<int64_t> ParseVersion(absl::string_view text);

// NOT_FOUND or PERMISSION_DENIED where `root` cannot be listed. Files (a README) and hidden folders are
// passed over in silence.
absl::StatusOr<RepositoryListing> ScanRepository(const std::string& root);

// The model file's path, links resolved. NOT_FOUND where there is none, PERMISSION_DENIED where a link leads out of
// `root`.
absl::StatusOr<std::string> ModelFilePath(const std::string& root, const std::string& name, int64_t version);

}  // namespace bitstage::server
