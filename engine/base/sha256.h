// SHA-256 (FIPS 180-4), for naming files by their contents. Not for secrets.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace bitstage {

// 64 lower-case hexadecimal digits.
std::string Sha256Hex(std::span<const std::byte> bytes);

}  // namespace bitstage
