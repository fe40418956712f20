// PackedWeights: vectors of int8 weights at the narrowest width that holds their values, with the tables that give the
// values back. A convolution's weights come in blocks (a register of output channels each), a block in sections (one a
// kernel position, or one in all), a section in vectors of `vector_bytes`. Where no section has more than 4 (or 16)
// different values, a weight takes 2 (or 4) bits:
//
//     PackedHeader | tables [sections][16] int8 | chunks [blocks][sections][section_chunks][vector_bytes]
//
// Byte i of a chunk holds the table indices of byte i of 8 / width consecutive vectors, the first in its lowest bits.
// A section's last chunk may hold fewer vectors. At 8 bits a chunk is a vector, without table.
//
// A tier opens the chunks just before it multiplies: an index is a byte shuffle's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitstage::kernels {

struct PackedShape {
  int64_t blocks;
  int64_t sections;
  int64_t section_vectors;
  int64_t vector_bytes;

  [[nodiscard]] int64_t block_bytes() const;
  [[nodiscard]] int64_t bytes() const;
};

inline constexpr int64_t kPackedTable = 16;  // entries; those past the last value are 0

struct PackedHeader {
  int64_t width;           // 2, 4 or 8 bits
  int64_t section_chunks;  // ceil(section_vectors / (8 / width))
};

// Pointers into packed weights.
struct PackedView {
  int64_t width;
  int64_t section_chunks;
  const int8_t* tables;
  const uint8_t* chunks;
};

// `vectors`: shape.bytes() weights, [blocks][sections][section_vectors][vector_bytes].
size_t PackedWeightsBytes(const PackedShape& shape, const int8_t* vectors);
// Writes PackedWeightsBytes bytes, a multiple of 64, to a 64-byte boundary.
void PackWeights(const PackedShape& shape, const int8_t* vectors, std::byte* packed);
PackedView ViewPackedWeights(const PackedShape& shape, const std::byte* packed);

// Weights O x I x taps (one group, `taps` kernel positions) as vectors of `lanes` outputs times four inputs,
// [ceil(O / lanes)][taps][ceil(I / 4)][lanes][4], missing ones 0.
PackedShape ByPositions(int64_t outputs, int64_t inputs, int64_t taps, int64_t lanes);
void ArrangeByPositions(int64_t outputs, int64_t inputs, int64_t taps, int64_t lanes, const int8_t* weights,
                        int8_t* vectors);

}  // namespace bitstage::kernels
