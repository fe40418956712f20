// Huffman-coded bytes: how model files hold weights (docs/model-format.md, "Coded").
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bitstage {

// The symbols, each below 2^width (width 4…8), as a table, the lengths of up to 64 lanes, and their codes. Empty where
// that does not pay: where it would take `packed_bytes` or more, or all symbols are the same. Equal input gives equal
// bytes, on every CPU.
std::string EncodeBytes(std::span<const uint8_t> symbols, int width, size_t packed_bytes);

// `count` symbols. INVALID_ARGUMENT for a table that is no complete code, DATA_LOSS for bytes that do not hold so many
// symbols: too few, left over, lanes that do not end where they should, padding that is not 0. Allocates nothing before
// it is sure that `coded` has a bit for every symbol at least.
absl::StatusOr<std::vector<uint8_t>> DecodeBytes(std::span<const std::byte> coded, int width, int64_t count);
// The same to memory of the caller's: room(bytes) gives so many, `count` or somewhat more. It is asked where the other
// form allocates, once.
absl::Status DecodeBytes(std::span<const std::byte> coded, int width, int64_t count,
                         absl::FunctionRef<uint8_t*(size_t bytes)> room);

}  // namespace bitstage
