// The members of a tar archive (POSIX ustar, with GNU and pax long names), without unpacking them.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/data/record.h"

namespace bitstage {

// True where `bytes` begin with a tar header whose checksum is right.
bool LooksLikeTar(std::span<const std::byte> bytes);

// The regular files, in archive order; links, folders and devices are passed over. `bytes` point into the archive.
// INVALID_ARGUMENT naming the byte: truncated, or a header with a wrong checksum or size.
absl::StatusOr<std::vector<FileRef>> ListTar(std::span<const std::byte> bytes);

}  // namespace bitstage
