// The outside of an encoded image: what it claims to be, and the part of it that a decoder needs.
//
// A PNG or JPEG file is walked once, within bounds, before a decoder sees a byte. The walk ends in one of two ways: the
// file is refused, or it is whole (a PNG up to IEND with every checksum right, a JPEG up to EOI with a scan for every
// component) and of a kind that we decode. What is handed to the decoder is rebuilt from the parts that carry pixels:
// text, colour profiles, thumbnails and EXIF never reach it, nor does what follows the end of the image.
//
// Damage within the entropy-coded data of a JPEG cannot be seen from outside: JPEG has no checksum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/image/image.h"

namespace bitstage {

struct ImageContainer {
  enum class Format : uint8_t { kPng, kJpeg };

  Format format = Format::kPng;
  int width = 0;
  int height = 0;
  int bits = 8;          // of a sample; of an index where there is a palette
  bool is_grey = false;  // one component, no palette
  bool has_palette = false;
  size_t palette_offset = 0;  // of the PLTE chunk's data in `essential`
  size_t palette_entries = 0;
  std::vector<uint8_t> essential;  // the file, rebuilt from what the pixels need
};

// INVALID_ARGUMENT, RESOURCE_EXHAUSTED as DecodeImage. Allocates at most about encoded.size().
absl::StatusOr<ImageContainer> ParseImageContainer(std::span<const std::byte> encoded, const ImageLimits& limits);

// The two formats; `bytes` begins with the format's signature.
absl::StatusOr<ImageContainer> ParsePng(std::span<const uint8_t> bytes, const ImageLimits& limits);
absl::StatusOr<ImageContainer> ParseJpeg(std::span<const uint8_t> bytes, const ImageLimits& limits);

// RESOURCE_EXHAUSTED over the pixel limit, INVALID_ARGUMENT for an empty image.
absl::Status CheckDimensions(int64_t width, int64_t height, const ImageLimits& limits);

// CRC-32 as PNG uses it.
uint32_t PngCrc(std::span<const uint8_t> type_and_data);

inline uint32_t ReadBigEndian32(const uint8_t* p) {
  return uint32_t{p[0]} << 24 | uint32_t{p[1]} << 16 | uint32_t{p[2]} << 8 | uint32_t{p[3]};
}
inline uint32_t ReadBigEndian16(const uint8_t* p) { return uint32_t{p[0]} << 8 | uint32_t{p[1]}; }

}  // namespace bitstage
