// How the AMX tier packs weights: as tiles of 16 output channels, one after another as the products need them,
//     [ceil(out / 16)][step of the layout][16 rows][16 columns][4]
// where row r of a step holds the terms 4r … 4r + 3. A tile is stored as 1024 int8, or, where the layer's weights have
// few values, as indices into a table of them, and opened on its way to the product:
//   * 4 bits, at most 16 values: byte b of line v has rows 2v (low bits) and 2v + 1 of byte b of a tile row;
//   * 2 bits, at most 4 values: rows 4v … 4v + 3, from the low bits up.
// 2 bits are a quarter of the bytes that a layer draws from the L3 cache, which is what bounds layers of small maps.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/amx/layout.h"

namespace bitstage::kernels::amx {

// At the head of packed weights; tiles follow.
struct alignas(64) WeightsHeader {
  int64_t bits;   // 8, 4 or 2
  bool gathered;  // the layout
  // What the low 6 bits of a byte stand for: [0] by its lowest field, [1] by its second and [2] by its third field of
  // two bits. The last field is read through the second to last table, shifted to its place.
  alignas(64) int8_t values[3][64];
};

// In bytes, as stored.
constexpr int64_t PackedTileBytes(int64_t bits) { return kTileBytes * bits / 8; }

// weights: as ConvKernel::pack takes them.
size_t PackedBytes(const ConvShape& shape, const Layout& layout, const int8_t* weights);
void Pack(const ConvShape& shape, const Layout& layout, const int8_t* weights, std::byte* packed);

}  // namespace bitstage::kernels::amx
