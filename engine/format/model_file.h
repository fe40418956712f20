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

struct PackedModel;

// Written to a temporary file beside `path`, synced and renamed: a reader never sees half a file.
absl::Status WriteModelFile(const Model& model, const std::string& path);

// Maps the file, checks header, bounds, checksums and every declared size, then builds and Validates the model.
// NOT_FOUND or PERMISSION_DENIED for a file that cannot be opened, DATA_LOSS for one that is truncated or damaged,
// INVALID_ARGUMENT for one whose contents contradict themselves, UNIMPLEMENTED for a newer format version.
// Messages name the file, the section and the field. A pool, where there is one, shares the unpacking of weights.
absl::StatusOr<Model> ReadModelFile(const std::string& path, ThreadPool* pool = nullptr);

// The reader behind it, for bytes in memory (fuzzing, tests).
absl::StatusOr<Model> ParseModelFile(std::span<const std::byte> bytes, ThreadPool* pool = nullptr);

// A model whose codes are unpacked one constant at a time, from the file, which stays mapped: for who makes something
// else of them at once. All codes in a byte each take several times the file.
class ModelFile {
 public:
  // Reads and checks all but the codes, as ReadModelFile does.
  static absl::StatusOr<ModelFile> Open(const std::string& path);

  [[nodiscard]] const std::shared_ptr<const Model>& model() const { return model_; }  // without codes
  // Fills `codes` of weights whose other members are the constant's, in the memory that is there. Thread-safe.
  // Refuses what ReadModelFile refuses, in the same words.
  absl::Status ReadCodes(ConstantId id, WeightCodes& weights) const;

 private:
  ModelFile(std::string path, std::shared_ptr<const std::byte> mapped, std::shared_ptr<const PackedModel> packed);

  std::string path_;
  std::shared_ptr<const std::byte> mapped_;
  std::shared_ptr<const PackedModel> packed_;
  std::shared_ptr<const Model> model_;  // of packed_
};

// True if the bytes begin as a .bitstage file does.
bool IsModelFile(std::span<const std::byte> bytes);

}  // namespace bitstage
