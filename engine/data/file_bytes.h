// FileBytes: the content of a file, mapped, or unpacked into memory where it is gzip.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace bitstage {

class FileBytes {
 public:
  // NOT_FOUND, INVALID_ARGUMENT (not a regular file, broken gzip), RESOURCE_EXHAUSTED (more than max_unpacked_bytes).
  static absl::StatusOr<std::shared_ptr<const FileBytes>> Open(const std::string& path, size_t max_unpacked_bytes);

  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;
  ~FileBytes();

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }

 private:
  FileBytes() = default;

  void* mapping_ = nullptr;
  size_t mapped_bytes_ = 0;
  std::vector<std::byte> unpacked_;
  std::span<const std::byte> bytes_;
};

// All members of a gzip stream, one behind the other. At most `limit` bytes.
absl::StatusOr<std::vector<std::byte>> Gunzip(std::span<const std::byte> packed, size_t limit);

}  // namespace bitstage
