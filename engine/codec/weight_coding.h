// Weight codes at rest, at their true width (docs/model-format.md, WEIGHTS).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
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

// Replaces what is in `codes`, whose memory it takes again. Requires packed.size() == PackedBytes(codebook, bits,
// count). DATA_LOSS for a byte that no code gives or for bits set after the last code, naming the byte.
absl::Status Unpack(Codebook codebook, int bits, int64_t count, std::span<const std::byte> packed,
                    std::vector<int8_t>& codes);

// The same of what AppendCoded wrote. DATA_LOSS or INVALID_ARGUMENT as DecodeBytes; at most 64 codes come from a byte.
absl::Status Decode(Codebook codebook, int bits, int64_t count, std::span<const std::byte> coded,
                    std::vector<int8_t>& codes);

}  // namespace bitstage
