// The constants of the activation frame that its writer and its reader share. docs/frame-format.md draws the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitstage::frame {

inline constexpr uint8_t kMagic = 0xb0;  // the upper half of the first byte
inline constexpr uint8_t kVersion = 2;   // the lower

enum class Mode : uint8_t { kStored = 0, kPlain = 1, kInline = 2, kContexts = 3, kSplit = 4 };

// The second byte.
inline constexpr uint8_t kModeMask = 0x07;
inline constexpr uint8_t kPairsBit = 0x08;
inline constexpr uint8_t kPartBit = 0x10;
inline constexpr uint8_t kExtensionBit = 0x20;
inline constexpr uint8_t kUnknownBits = 0xc0;

inline constexpr size_t kIdentityAt = 2;
inline constexpr size_t kNumbersAt = 6;  // frame_bytes and what follows
inline constexpr size_t kChecksumBytes = 4;
// Magic, kind, identity, two numbers, checksum.
inline constexpr size_t kMinFrameBytes = 12;
// A writer's lanes have at least so many cells.
inline constexpr int64_t kMinLaneCells = 128;
// What one frame may hold: keeps every number of a header within four bytes.
inline constexpr int64_t kMaxElements = int64_t{1} << 27;

}  // namespace bitstage::frame
