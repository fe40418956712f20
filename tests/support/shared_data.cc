#include "tests/support/shared_data.h"

#include <cstdlib>
#include <filesystem>

namespace bitstage {

std::optional<std::string> SharedPath(const std::string& relative) {
  const char* folder = std::getenv("BITSTAGE_SHARED");
  const std::filesystem::path root =
      folder != nullptr ? std::filesystem::path(folder) : std::filesystem::path(BITSTAGE_SOURCE_DIR) / ".." / "shared";
  const std::filesystem::path path = root / relative;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  return path.lexically_normal().string();
}

}  // namespace bitstage
