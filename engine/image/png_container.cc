// PNG (ISO/IEC 15948 §5): signature, then chunks of length, type, data and CRC, from IHDR to IEND.
#include <zlib.h>

#include <algorithm>
#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/image/container.h"

namespace bitstage {
namespace {

constexpr size_t kSignatureBytes = 8;
constexpr size_t kChunkOverhead = 12;  // length, type, CRC
constexpr uint32_t kIhdrBytes = 13;

constexpr uint32_t Type(const char (&name)[5]) {
  return uint32_t{static_cast<uint8_t>(name[0])} << 24 | uint32_t{static_cast<uint8_t>(name[1])} << 16 |
         uint32_t{static_cast<uint8_t>(name[2])} << 8 | uint32_t{static_cast<uint8_t>(name[3])};
}

struct Chunk {
  uint32_t type = 0;
  std::span<const uint8_t> data;
  std::span<const uint8_t> whole;  // with length, type and CRC
  [[nodiscard]] bool IsCritical() const { return (type & 0x20000000) == 0; }
  [[nodiscard]] std::string Name() const {
    const char* name = reinterpret_cast<const char*>(whole.data()) + 4;
    return absl::CHexEscape({name, 4});
  }
};

absl::Status Truncated(size_t offset, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("PNG: truncated at byte ", offset, ": ", what));
}

absl::StatusOr<Chunk> ReadChunk(std::span<const uint8_t> bytes, size_t offset) {
  if (bytes.size() - offset < kChunkOverhead) return Truncated(bytes.size(), "no IEND chunk");
  Chunk chunk;
  const uint32_t length = ReadBigEndian32(&bytes[offset]);
  chunk.type = ReadBigEndian32(&bytes[offset + 4]);
  if (length > bytes.size() - offset - kChunkOverhead) {
    return Truncated(bytes.size(), absl::StrCat("the chunk at byte ", offset, " has ", length, " bytes"));
  }
  chunk.data = bytes.subspan(offset + 8, length);
  chunk.whole = bytes.subspan(offset, kChunkOverhead + length);
  const uint32_t stored = ReadBigEndian32(&bytes[offset + 8 + length]);
  if (chunk.IsCritical() && stored != PngCrc(bytes.subspan(offset + 4, 4 + length))) {
    return absl::InvalidArgumentError(
        absl::StrCat("PNG: wrong checksum of the ", chunk.Name(), " chunk at byte ", offset));
  }
  return chunk;
}

// IHDR: width, height, bit depth, colour type, compression, filter, interlace.
absl::Status ReadHeader(const Chunk& chunk, const ImageLimits& limits, ImageContainer* container) {
  if (chunk.type != Type("IHDR") || chunk.data.size() != kIhdrBytes) {
    return absl::InvalidArgumentError(absl::StrCat("PNG: expected an IHDR chunk of ", kIhdrBytes, " bytes first, got ",
                                                   chunk.Name(), " of ", chunk.data.size(), " bytes"));
  }
  const uint32_t width = ReadBigEndian32(chunk.data.data());
  const uint32_t height = ReadBigEndian32(chunk.data.data() + 4);
  BITSTAGE_RETURN_IF_ERROR(CheckDimensions(width, height, limits));
  constexpr uint32_t kMaxSide = 0x7fffffff;
  if (width > kMaxSide || height > kMaxSide) return absl::InvalidArgumentError("PNG: a side is over 2^31 − 1");
  container->width = static_cast<int>(width);
  container->height = static_cast<int>(height);

  const int bits = chunk.data[8];
  const int colour = chunk.data[9];
  container->bits = bits;
  container->is_grey = colour == 0;
  container->has_palette = colour == 3;
  const bool is_power = bits == 1 || bits == 2 || bits == 4 || bits == 8 || bits == 16;
  const bool fits =
      colour == 0 || (colour == 3 && bits <= 8) || ((colour == 2 || colour == 4 || colour == 6) && bits >= 8);
  if (!is_power || !fits || chunk.data[10] != 0 || chunk.data[11] != 0 || chunk.data[12] > 1) {
    return absl::InvalidArgumentError(absl::StrCat("PNG: no such kind: colour type ", colour, ", ", bits,
                                                   " bits, compression ", chunk.data[10], ", filter ", chunk.data[11],
                                                   ", interlace ", chunk.data[12]));
  }
  return absl::OkStatus();
}

}  // namespace

uint32_t PngCrc(std::span<const uint8_t> type_and_data) {
  return static_cast<uint32_t>(crc32_z(crc32_z(0, nullptr, 0), type_and_data.data(), type_and_data.size()));
}

absl::StatusOr<ImageContainer> ParsePng(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  ImageContainer container;
  container.format = ImageContainer::Format::kPng;
  BITSTAGE_ASSIGN_OR_RETURN(const Chunk header, ReadChunk(bytes, kSignatureBytes));
  BITSTAGE_RETURN_IF_ERROR(ReadHeader(header, limits, &container));

  std::vector<uint8_t>& essential = container.essential;
  essential.reserve(bytes.size());
  const auto append = [&essential](std::span<const uint8_t> part) {
    essential.insert(essential.end(), part.begin(), part.end());
  };
  append(bytes.first(kSignatureBytes));
  append(header.whole);
  bool has_data = false;
  for (size_t offset = kSignatureBytes + header.whole.size();;) {
    BITSTAGE_ASSIGN_OR_RETURN(const Chunk chunk, ReadChunk(bytes, offset));
    offset += chunk.whole.size();
    if (chunk.type == Type("IEND")) {
      append(chunk.whole);
      break;
    }
    if (chunk.type == Type("PLTE")) {
      const size_t entries = chunk.data.size() / 3;
      if (chunk.data.size() % 3 != 0 || entries == 0 || entries > 256 || container.palette_entries != 0 || has_data) {
        return absl::InvalidArgumentError(
            absl::StrCat("PNG: misplaced or malformed PLTE chunk of ", chunk.data.size(), " bytes"));
      }
      // The suggested palette of a true-colour image is of no use to us.
      if (!container.has_palette) continue;
      container.palette_entries = entries;
      container.palette_offset = essential.size() + 8;
      append(chunk.whole);
    } else if (chunk.type == Type("IDAT")) {
      has_data = true;
      append(chunk.whole);
    } else if (chunk.IsCritical()) {
      return absl::InvalidArgumentError(absl::StrCat("PNG: unknown critical chunk ", chunk.Name()));
    }
  }
  if (!has_data) return absl::InvalidArgumentError("PNG: no IDAT chunk");
  if (container.has_palette && container.palette_entries == 0) {
    return absl::InvalidArgumentError("PNG: indexed colours without a PLTE chunk");
  }
  return container;
}

}  // namespace bitstage
