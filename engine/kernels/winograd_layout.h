// WinogradLayout: how a Winograd convolution (winograd_conv.h) cuts a layer: its tiles into groups and bands, its
// output channels into panels.
//
// Not for files that are compiled with vector flags: its code is inline.
#pragma once

#include <cstdint>

#include "engine/base/checked_math.h"
#include "engine/kernels/packed_weights.h"
#include "engine/kernels/params.h"
#include "engine/kernels/winograd_conv.h"

namespace bitstage::kernels {

inline constexpr int64_t kWinogradStepBytes = 4;
inline constexpr int64_t kWinogradOverread = 64;
// Tiles of an image whose products may be summed position by position: a position's weights stay in the L1 cache, and
// tiles that reach over the edge are left out where they need no products.
inline constexpr int64_t kWinogradOneGroupTiles = 16;

// The tiles of an image in the order that makes those that a position needs neighbours: first those that lack a lower
// row of outputs, then whole ones, then those that lack a right column, then the one that lacks both.
struct WinogradTileOrder {
  // Of so many rows and columns of outputs.
  WinogradTileOrder(int64_t rows, int64_t columns)
      : whole_rows(rows / 2),
        whole_columns(columns / 2),
        bottom(rows % 2 * whole_columns),
        whole(whole_rows * whole_columns),
        right(columns % 2 * whole_rows),
        all(DivideRoundUp(rows, 2) * DivideRoundUp(columns, 2)) {}

  [[nodiscard]] int64_t IndexOf(int64_t row, int64_t column) const {
    if (column < whole_columns) return row < whole_rows ? bottom + row * whole_columns + column : column;
    return row < whole_rows ? bottom + whole + row : all - 1;
  }
  [[nodiscard]] int64_t Begin(const WinogradForm& form, int position) const {
    return position / form.positions == form.positions - 1 ? bottom : 0;
  }
  [[nodiscard]] int64_t End(const WinogradForm& form, int position) const {
    if (position % form.positions == form.positions - 1) return bottom + whole;
    return position / form.positions == form.positions - 1 ? bottom + whole + right : all;
  }

  int64_t whole_rows, whole_columns;
  int64_t bottom, whole, right, all;  // numbers of tiles
};

// `tiles` in `count` groups: the first `larger` of them have one tile more.
struct WinogradGroups {
  WinogradGroups(int64_t tiles, int64_t most)
      : count(DivideRoundUp(tiles, most)), size(tiles / count), larger(tiles % count) {}
  int64_t count, size, larger;
  [[nodiscard]] int64_t SizeOf(int64_t group) const { return size + (group < larger ? 1 : 0); }
};

// The sizes that follow from a shape.
struct WinogradLayout {
  WinogradLayout(const WinogradTier& tier, const ConvShape& shape);

  [[nodiscard]] int64_t panels() const { return DivideRoundUp(blocks, panel_blocks); }

  int64_t blocks;
  int64_t lanes;
  int64_t vectors;  // of packed weights: four input channels
  int64_t steps;    // of four bytes
  int64_t tile_rows, tile_columns;
  int64_t tile_bytes;  // of one plane's codes
  int64_t code_planes;
  bool whole;            // all of several images at once
  bool one_group;        // an image's tiles are one group, in WinogradTileOrder, summed position by position
  bool by_rows;          // WinogradTier::multiply_row
  int64_t panel_blocks;  // whose weights are opened at a time
  int64_t group_tiles;   // most tiles whose outputs are transformed at a time
  int64_t plane_bytes;   // of one plane's codes of a group of tiles
  int64_t panel_plane_bytes;
  int64_t band_images = 1;   // whose codes are transformed at a time: so many images,
  int64_t band_tile_rows;    // and so many rows of tiles of each
  int64_t correction_bytes;  // of packed weights: int32 [pixel][lanes], before the weights themselves
  PackedShape packed;
};

}  // namespace bitstage::kernels
