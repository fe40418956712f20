// Band: the lines of some output rows and the tables that say how tiles are cut from them.
#pragma once

#include <cstdint>

#include "engine/kernels/amx/layout.h"
#include "engine/kernels/params.h"
#include "engine/kernels/scratch.h"

namespace bitstage::kernels::amx {

class Band {
 public:
  // Takes its memory from `scratch`; over a null base only the size is counted. All references must outlive it.
  Band(const ConvShape& shape, const Layout& layout, const ConvCall& call, Scratch& scratch);

  // What all bands of a call have in common.
  void Begin();
  // Output rows [y, y + rows), rows <= layout.band_rows().
  void Fill(int64_t y, int64_t rows);

  [[nodiscard]] int64_t tiles() const { return tiling_.count; }
  [[nodiscard]] int64_t tile_rows() const { return tiling_.rows; }
  // From a line of a tile to the next, in bytes.
  [[nodiscard]] int64_t line_stride() const { return line_stride_; }
  // From the first line of step 0 to that of each step.
  [[nodiscard]] const int32_t* step_bytes() const { return step_bytes_; }
  // The first line of a tile, of step 0.
  [[nodiscard]] const uint8_t* TileAt(int64_t tile) const { return lines_ + first_lines_[tile] * line_stride_; }
  // The output pixel of each line of a tile, and of those that follow; −1 for a line that is none. Three lines that are
  // none follow the last tile.
  [[nodiscard]] const int32_t* PixelsAt(int64_t tile) const { return pixels_ + tile * tiling_.rows; }

 private:
  // May tiles be loaded from the input as it is?
  [[nodiscard]] bool FindInPlace() const;
  void FillShared(int64_t y, int64_t rows);
  void FillGathered(int64_t y, int64_t rows);
  // Lines of `height` rows of `width` output pixels, `pitch` lines from one to the next.
  void CutTiles(int64_t first_pixel, int64_t height, int64_t width, int64_t pitch);

  const ConvShape& shape_;
  const Layout& layout_;
  const ConvCall& call_;
  uint8_t* scratch_lines_;
  uint8_t* padded_;
  int32_t* step_bytes_;
  int32_t* first_lines_;
  int32_t* pixels_;

  bool in_place_ = false;
  const uint8_t* lines_ = nullptr;
  int64_t line_stride_ = 0;
  Tiling tiling_ = {};
};

}  // namespace bitstage::kernels::amx
