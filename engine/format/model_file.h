// The .bitstage model file (docs/model-format.md): the one writer and the one validating reader.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/model.h"

namespace bitstage {

// Written to a temporary file beside `path`, synced and renamed: a reader never sees half a file.
absl::Status WriteModelFile(const Model& model, const std::string& path);

// Maps the file, checks header, bounds, checksums and every declared size, then builds and Validates the model.
// NOT_FOUND or PERMISSION_DENIED for a file that cannot be opened, DATA_LOSS for one that is truncated or damaged,
// INVALID_ARGUMENT for one whose contents contradict themselves, UNIMPLEMENTED for a newer format version.
// Messages name the file, the section and the field. A pool, where there is one, shares the unpacking of weights.
absl::StatusOr<Model> ReadModelFile(const std::string& path, ThreadPool* pool = nullptr);

// The reader behind it, for bytes in memory (fuzzing, tests).
absl::StatusOr<Model> ParseModelFile(std::span<const std::byte> bytes, ThreadPool* pool = nullptr);

// True if the bytes begin as a .bitstage file does.
bool IsModelFile(std::span<const std::byte> bytes);

}  // namespace bitstage
