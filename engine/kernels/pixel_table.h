// PixelTable: where the pixels lie that a band of output rows reads. Padding is a pointer to a line of zero points, so
// that the inner loops of a convolution know neither borders nor strides nor dilation: output pixel p reads, for kernel
// position t, `at[pixels[p] + taps[t]]`.
#pragma once

#include <cstdint>

#include "engine/kernels/params.h"
#include "engine/kernels/scratch.h"

namespace bitstage::kernels {

class PixelTable {
 public:
  // Takes its memory from `scratch`; over a null base only the size is counted.
  PixelTable(const ConvShape& shape, Scratch& scratch);

  // Writes the line of zero points, which every pointer to the padding leads to.
  void FillPadding(uint8_t zero_point);
  // Fills `at` and `pixels` for the output rows [row_begin, row_begin + rows), rows <= band_rows().
  void FillBand(const ConvCall& call, int64_t row_begin, int64_t rows);

  // Output rows whose table stays small beside the L1 cache; at least one.
  [[nodiscard]] int64_t band_rows() const { return band_rows_; }
  // Pointers to the padded input's pixels, row-major.
  [[nodiscard]] const uint8_t* const* at() const { return at_; }
  // For each kernel position its distance in `at`, row-major.
  [[nodiscard]] const int32_t* taps() const { return taps_; }
  // For each output pixel of the band its first entry in `at`; the last one is repeated kMaxTilePixels times.
  [[nodiscard]] const int32_t* pixels() const { return pixels_; }

  static constexpr int64_t kMaxTilePixels = 12;

 private:
  void FillRow(const ConvCall& call, int64_t in_y, const uint8_t** row) const;

  const ConvShape shape_;
  int64_t width_;  // padded columns that a row of outputs reaches
  int64_t band_rows_;
  const uint8_t** at_;
  int32_t* taps_;
  int32_t* pixels_;
  uint8_t* padding_;
};

}  // namespace bitstage::kernels
