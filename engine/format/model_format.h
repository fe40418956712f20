// The numbers of docs/model-format.md that the writer and the reader of .bitstage files share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace bitstage::model_format {

inline constexpr absl::string_view kMagic = "BITSTAGE";
inline constexpr uint32_t kVersion = 2;  // the newest
inline constexpr uint32_t kFirstVersion = 1;
inline constexpr uint32_t kCodedVersion = 2;  // the first in which weights may be Huffman-coded
inline constexpr size_t kAlignment = 64;

inline constexpr size_t kHeaderSize = 64;
inline constexpr size_t kVersionAt = 8;
inline constexpr size_t kSectionCountAt = 12;
inline constexpr size_t kFileSizeAt = 16;
inline constexpr size_t kHeaderCrcAt = 24;
inline constexpr size_t kHeaderUsed = 28;

inline constexpr size_t kEntrySize = 32;
inline constexpr size_t kKindAt = 0;
inline constexpr size_t kFlagsAt = 4;
inline constexpr size_t kOffsetAt = 8;
inline constexpr size_t kSizeAt = 16;
inline constexpr size_t kCrcAt = 24;
inline constexpr size_t kEntryUsed = 28;
inline constexpr uint32_t kFlagSkippable = 1;

inline constexpr uint32_t kMaxSections = 64;
inline constexpr size_t kMaxMetaBytes = size_t{8} << 20;
inline constexpr size_t kMaxGraphItems = size_t{1} << 16;  // values, constants, nodes, inputs, outputs: each
inline constexpr int kMaxResizeShorter = 1 << 15;

enum class SectionKind : uint32_t { kMeta = 1, kWeights = 2, kFloats = 3 };

}  // namespace bitstage::model_format
