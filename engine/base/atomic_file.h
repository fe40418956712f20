// Files that are whole or not there.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/status.h"

namespace bitstage {

// Writes to a temporary file beside `path`, syncs it and renames it: a reader never sees half a file, and where
// anything fails (a full disk) the old file stays as it was and the temporary one is removed. Errors name the file.
absl::Status WriteFileAtomically(std::span<const std::byte> bytes, const std::string& path);

}  // namespace bitstage
