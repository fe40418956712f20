// The payloads that need no lanes: stored symbols, and the DQA paper's own split (docs/frame-format.md).
#pragma once

#include <cstdint>
#include <span>

#include "engine/codec/boundary.h"

namespace bitstage::frame {

// Bytes of stored symbols.
int64_t StoredBytes(const FrameBoundary& boundary, int64_t pixels);
// Writes StoredBytes(…) bytes to `out`.
void WriteStored(const FrameBoundary& boundary, std::span<const uint8_t> codes, std::byte* out);
// False where bits that should be 0 are not. Requires a payload of StoredBytes(…).
bool ReadStored(const FrameBoundary& boundary, std::span<const std::byte> payload, std::span<uint8_t> codes);

// True for a grid of n and n + m bits as the DQA paper's (n, m) has it.
bool CanSplit(const FrameBoundary& boundary);
// Bytes written, or −1 where more than room.size() were needed. Requires CanSplit.
int64_t WriteSplit(const FrameBoundary& boundary, std::span<const uint8_t> codes, std::span<std::byte> room);
enum class SplitResult : uint8_t { kOk, kBadTable, kBadStream };
// `channel` becomes the one that is wrong. Requires CanSplit.
SplitResult ReadSplit(const FrameBoundary& boundary, std::span<const std::byte> payload, std::span<uint8_t> codes,
                      int64_t& channel);

}  // namespace bitstage::frame
