// PoolWindow: the part of a pooling window that lies inside the image.
#pragma once

#include <cstdint>

#include "engine/kernels/params.h"

namespace bitstage::kernels {

struct PoolWindow {
  const uint8_t* first;  // its first pixel; null where rows or columns are 0
  int64_t rows, columns;
  int64_t row_bytes, column_bytes;  // from one row, one column of the window to the next
  int64_t count;                    // what an average divides by, at least 1
};

PoolWindow WindowAt(const PoolCall& call, int64_t y, int64_t x);

}  // namespace bitstage::kernels
