// The outer shell of a .bitstage file: header, section table, checksums, padding (docs/model-format.md). What the
// sections mean is model_meta's business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/statusor.h"

namespace bitstage {

struct ModelSections {
  std::span<const std::byte> meta;
  std::span<const std::byte> weights;
  std::span<const std::byte> floats;
};

// The whole file, of the given format version.
std::string BuildContainer(const ModelSections& sections, uint32_t version);

// Views into `bytes`, whose every byte has been checked. Allocates nothing of a size that the file claims.
// DATA_LOSS for damage, INVALID_ARGUMENT for another kind of file or a forbidden layout, UNIMPLEMENTED for a newer
// version or an unknown section that may not be skipped.
absl::StatusOr<ModelSections> ParseContainer(std::span<const std::byte> bytes);

}  // namespace bitstage
