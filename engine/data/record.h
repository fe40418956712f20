// Record: where one image of a data set lies. The readers of the single forms make lists of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitstage {

// An encoded file: its bytes within the data set's own, or the path to read them from.
struct FileRef {
  std::string name;  // within the archive or folder
  std::span<const std::byte> bytes;
  std::string path;  // empty: `bytes`
};

struct Record {
  enum class Pixels : uint8_t { kEncoded, kPlanarRgb, kGrey };

  std::string name;
  std::optional<int> label;
  Pixels pixels = Pixels::kEncoded;
  int width = 0;   // of raw pixels
  int height = 0;  // of raw pixels
  FileRef file;
  std::optional<FileRef> label_map;
};

using Records = std::vector<Record>;

// Each Looks… is cheap or one pass over the labels, and true for what the Read… beside it is to be tried on. The
// records point into `bytes`.
inline constexpr int kCifarClasses = 10;
bool LooksLikeCifar(std::span<const std::byte> bytes);
absl::StatusOr<Records> ReadCifar(std::span<const std::byte> bytes);

bool LooksLikeJpegRecords(std::span<const std::byte> bytes);
absl::StatusOr<Records> ReadJpegRecords(std::span<const std::byte> bytes);

bool LooksLikeIdx(std::span<const std::byte> bytes);
absl::StatusOr<Records> ReadIdxImages(std::span<const std::byte> bytes);
absl::StatusOr<std::vector<int>> ReadIdxLabels(std::span<const std::byte> bytes);

// The images among `files`, each with its label map where there is one.
Records ImagesOf(std::vector<FileRef> files);

inline uint8_t ByteAt(std::span<const std::byte> bytes, size_t offset) { return static_cast<uint8_t>(bytes[offset]); }

}  // namespace bitstage
