// The constants of the activation frame that its writer and its reader share. docs/frame-format.md draws the bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitstage::frame {

inline constexpr char kMagic[4] = {'B', 'S', 'F', 'R'};
inline constexpr uint8_t kVersion = 1;

enum class Mode : uint8_t { kStored = 0, kStaticTables = 1, kInlineTables = 2 };

// Offsets of the fields.
inline constexpr size_t kVersionAt = 4;
inline constexpr size_t kModeAt = 5;
inline constexpr size_t kRankAt = 6;
inline constexpr size_t kStreamsAt = 7;
inline constexpr size_t kHeaderBytesAt = 8;
inline constexpr size_t kTablesAt = 10;
inline constexpr size_t kFrameBytesAt = 12;
inline constexpr size_t kIdentityAt = 16;
inline constexpr size_t kShapeAt = 24;

inline constexpr size_t kChecksumBytes = 4;
inline constexpr int kMaxStreams = 64;
// What one frame may hold; keeps every length within 32 bits.
inline constexpr int64_t kMaxElements = int64_t{1} << 28;

}  // namespace bitstage::frame
