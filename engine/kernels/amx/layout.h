// Layout: where the codes lie that tiles multiply. A row of a tile of codes is one aligned line of 64 bytes: 64 terms
// of one output pixel's sums. A layer takes `steps` such lines for an output pixel, and the tile of 16 or fewer pixels
// that belongs to step k begins steps' offset k behind the tile of step 0.
//
// Two ways to lay them out in scratch memory; the cheaper is taken:
//   * shared: [channel block of 64][plane][pixel][64]. A step is a kernel position of a channel block. The image is
//     spread over a plane for each phase of the strides, so that the lines of neighbouring output pixels are neighbours
//     whatever the stride. With stride 1, the padding right of a row is the padding left of the next one.
//   * gathered: [output pixel][step][64], all terms of an output pixel close together. For few input channels.
// A third, in place, takes the lines of a 1 x 1 layer where they lie in the input.
#pragma once

#include <cstdint>

#include "engine/kernels/params.h"

namespace bitstage::kernels::amx {

inline constexpr int64_t kLine = 64;     // bytes of a row of codes, and of a row of weights
inline constexpr int64_t kColumns = 16;  // output channels of a tile
inline constexpr int64_t kMaxRows = 16;  // pixels of a tile
inline constexpr int64_t kTileBytes = 1024;

// One direction of a shared layout. Kernel position k of output y reads cell y + Shift(k) of plane Plane(k); cell q of
// plane p holds input q·stride + Phase(p).
struct Axis {
  Axis(int64_t stride, int64_t kernel, int64_t dilation, int64_t pad);

  [[nodiscard]] int64_t Plane(int64_t k) const { return k % period; }
  [[nodiscard]] int64_t Shift(int64_t k) const { return k * dilation / stride; }
  [[nodiscard]] int64_t Phase(int64_t plane) const { return plane * dilation % stride - pad; }

  int64_t stride, kernel, dilation, pad;
  int64_t period;  // kernel positions so far apart read the same plane
  int64_t planes;
  int64_t reach;  // cells that an output reads, to the last
};

// How the output pixels of a band are cut into tiles: into lines as they follow one another, those between two rows
// too (flat), or row by row.
struct Tiling {
  int64_t rows;  // of a tile: output pixels
  bool flat;
  int64_t tiles_a_row;  // where not flat
  int64_t count;
};

// The cheapest tiling of `height` rows of `width` output pixels whose lines begin `pitch` lines apart.
Tiling ChooseTiling(int64_t height, int64_t width, int64_t pitch);

// Cycles of one product of tiles with so many rows of codes.
double TileCycles(int64_t rows);

class Layout {
 public:
  // Shared or gathered, whichever takes fewer cycles.
  explicit Layout(const ConvShape& shape);
  // The one that was found before: in no time.
  Layout(const ConvShape& shape, bool gathered);

  [[nodiscard]] const Axis& down() const { return down_; }
  [[nodiscard]] const Axis& across() const { return across_; }
  [[nodiscard]] bool gathered() const { return gathered_; }
  [[nodiscard]] int64_t steps() const { return steps_; }
  [[nodiscard]] int64_t channel_blocks() const { return channel_blocks_; }
  // Output rows whose lines stay within the cache meant for them, at least 1.
  [[nodiscard]] int64_t band_rows() const { return band_rows_; }
  // Lines from an output row to the next (those of one step where gathered).
  [[nodiscard]] int64_t pitch() const { return pitch_; }
  // Cells of a row of a plane: pitch(), and those shared with the next row.
  [[nodiscard]] int64_t row_cells() const { return row_cells_; }
  [[nodiscard]] int64_t plane_bytes() const { return plane_bytes_; }
  // All lines of a band, with those behind the last that a tile may read.
  [[nodiscard]] int64_t lines_bytes() const { return lines_bytes_; }
  // A gathered layout's copy of the padded input rows of a band, dense; with what whole-line reads pass its end.
  [[nodiscard]] int64_t padded_row_bytes() const { return padded_row_bytes_; }
  [[nodiscard]] int64_t padded_bytes() const { return padded_bytes_; }
  // Bytes that follow one another in the padded input and in a gathered pixel, and how many such runs a pixel has.
  [[nodiscard]] int64_t run_bytes() const { return run_bytes_; }
  [[nodiscard]] int64_t runs() const { return runs_; }

  // Which term of an output's sum byte `byte` of step `step` is: its channel and kernel position (row-major); false
  // where it is none.
  bool TermAt(int64_t step, int64_t byte, int64_t* channel, int64_t* tap) const;
  // In bytes from step 0 of a pixel to step `step`, in a shared layout.
  [[nodiscard]] int64_t StepOffset(int64_t step) const;
  // Where plane (p_down, p_across) of a channel block begins.
  [[nodiscard]] int64_t PlaneOffset(int64_t block, int64_t p_down, int64_t p_across) const {
    return ((block * down_.planes + p_down) * across_.planes + p_across) * plane_bytes_;
  }

  // Cycles to lay out and to multiply a whole layer.
  [[nodiscard]] double Cycles() const;

 private:
  void PlanShared();
  void PlanGathered();
  [[nodiscard]] double FillCycles() const;
  [[nodiscard]] double ProductCycles() const;

  ConvShape shape_;
  Axis down_, across_;
  int64_t channel_blocks_;
  int64_t taps_;
  bool gathered_;
  int64_t steps_ = 0;
  int64_t band_rows_ = 0;
  int64_t pitch_ = 0;
  int64_t row_cells_ = 0;
  int64_t plane_bytes_ = 0;
  int64_t lines_bytes_ = 0;
  int64_t padded_row_bytes_ = 0;
  int64_t padded_bytes_ = 0;
  int64_t run_bytes_ = 0;
  int64_t runs_ = 0;
};

}  // namespace bitstage::kernels::amx
