// CRC32C (Castagnoli polynomial, as in iSCSI and SSE 4.2): the checksum of file sections and of frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace bitstage {

// Of "123456789": 0xe3069283. Uses the processor's instruction where it has one.
uint32_t Crc32c(std::span<const std::byte> bytes);

// The same without it, a byte at a time.
uint32_t Crc32cByTable(std::span<const std::byte> bytes);

}  // namespace bitstage
