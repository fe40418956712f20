// Weight codes at rest, at their true width (docs/model-format.md, WEIGHTS).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/tensor/weight_codes.h"

namespace bitstage {

// Bytes that `count` codes take; nullopt where that does not fit in int64. Requires bits of 1 to 8.
std::optional<int64_t> PackedBytes(Codebook codebook, int bits, int64_t count);

// Appends the codes. Requires codes that Validate takes.
void AppendPacked(const WeightCodes& weights, std::string& bytes);

// Appends the codes Huffman-coded if that is shorter than packed, true; else leaves `bytes` alone, false.
bool AppendCoded(const WeightCodes& weights, std::string& bytes);

// What a file takes for the codes, coded or packed, and their scales.
int64_t StoredBytes(const WeightCodes& weights);

// Requires packed.size() == PackedBytes(codebook, bits, count). DATA_LOSS for a byte that no code gives or for bits set
// after the last code, naming the byte.
absl::StatusOr<std::vector<int8_t>> Unpack(Codebook codebook, int bits, int64_t count,
                                           std::span<const std::byte> packed);

// Of what AppendCoded wrote. DATA_LOSS or INVALID_ARGUMENT as DecodeBytes; at most 64 codes come from a byte.
absl::StatusOr<std::vector<int8_t>> Decode(Codebook codebook, int bits, int64_t count,
                                           std::span<const std::byte> coded);

}  // namespace bitstage
