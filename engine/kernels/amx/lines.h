// Copying a band of a layer's input into the lines of its layout.
#pragma once

#include <cstdint>

namespace bitstage::kernels::amx {

// A row of one plane: cells [first, last) are copied from `from`, a pixel every `from_stride` bytes; those before and
// behind, to `cells`, hold the zero point.
struct LineRow {
  const uint8_t* from;
  int64_t from_stride;
  int64_t first, last, cells;
  uint8_t zero_point;
  uint8_t* to;
};

// 64 bytes of each pixel: what lies behind a pixel's last channel comes along, and meets weights of 0.
void CopyLines(const LineRow& row);

// `count` output pixels, each of `runs` runs of bytes that are brought together; writes and reads up to 63 bytes past
// the last run.
struct Gather {
  const uint8_t* from;  // of the first pixel
  int64_t pixel_stride;
  int64_t runs_a_row, run_stride, row_stride;  // runs in the order of kernel positions
  int64_t rows;
  int64_t run_bytes;
  int64_t count;
  uint8_t* to;
  int64_t to_stride;
};

void GatherLines(const Gather& gather);

}  // namespace bitstage::kernels::amx
