// CodeTables checked and compiled for the kernels.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/codec/cell_kernels.h"
#include "engine/tensor/boundary_tables.h"
#include "engine/tensor/grid.h"

namespace bitstage {

// Refuses: no table or more than 255; group_of_channel not one a channel, groups beyond the tables (with contexts: of
// other than groups x contexts entries, or entries beyond the tables); channels of different bits (or shift) in a
// group, or at all with contexts; pairs wider than 8 bits; lengths that are not one a cell, not a complete code, or
// leave a cell without a code. INVALID_ARGUMENT naming the field.
absl::Status Validate(const CodeTables& tables, const Grid& grid, int64_t channels);

namespace codec {

// Immutable owner of what a CellTables points to.
class CompiledTables {
 public:
  CompiledTables() = default;
  // Requires valid tables.
  CompiledTables(const CodeTables& tables, const Grid& grid, int64_t channels);

  [[nodiscard]] bool empty() const { return group_.empty(); }
  [[nodiscard]] CellTables view() const;

 private:
  bool pairs_ = false;
  bool uniform_ = true;
  int tables_ = 0, longest_ = 0, index_bits_ = 0, stride_bits_ = 0, contexts_ = 0;
  std::vector<uint8_t> bits_, shift_, off_mask_, group_, of_context_, lengths_, entry_of_;
  std::vector<EncodeEntry> encode_;
  std::vector<DecodeEntry> decode_;
  std::vector<uint16_t> decode_symbols_;
  std::vector<uint64_t> runs_;
  std::vector<uint64_t> encode_high_;
};

// The entries of one table with a cell of `width` bits; `encode` has 2^width entries, `decode` 2^index_bits, and
// index_bits is at least the longest code. first/second of the entries are symbols of bits = width (/2 with pairs) <<
// shift. Allocates nothing. Requires valid lengths.
void FillEncode(std::span<const uint8_t> lengths, EncodeEntry* encode);
void FillDecode(std::span<const uint8_t> lengths, int bits, int shift, bool pairs, int index_bits, DecodeEntry* decode);
// CellTables::encode_high of one table of cells of symbols of `bits` bits, and how many entries that has.
size_t EncodeHighEntries(int bits, bool pairs);
void FillEncodeHigh(const EncodeEntry* encode, int bits, bool pairs, uint64_t* high);
inline constexpr size_t kMaxEncodeHighEntries = size_t{1} << (2 * kMaxBitsOfTwo);

}  // namespace codec
}  // namespace bitstage
