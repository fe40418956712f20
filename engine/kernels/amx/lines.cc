#include "engine/kernels/amx/lines.h"

#include <immintrin.h>

namespace bitstage::kernels::amx {

void CopyLines(const LineRow& row) {
  const __m512i zero_points = _mm512_set1_epi8(static_cast<char>(row.zero_point));
  for (int64_t cell = 0; cell < row.first; ++cell) _mm512_store_si512(row.to + cell * 64, zero_points);
  const uint8_t* from = row.from;
  for (int64_t cell = row.first; cell < row.last; ++cell, from += row.from_stride) {
    _mm512_store_si512(row.to + cell * 64, _mm512_loadu_si512(from));
  }
  for (int64_t cell = row.last; cell < row.cells; ++cell) _mm512_store_si512(row.to + cell * 64, zero_points);
}

// Whole registers are copied: what a run writes too much is overwritten by the next one, or by the next pixel.
void GatherLines(const Gather& gather) {
  for (int64_t pixel = 0; pixel < gather.count; ++pixel) {
    const uint8_t* row = gather.from + pixel * gather.pixel_stride;
    uint8_t* to = gather.to + pixel * gather.to_stride;
    for (int64_t y = 0; y < gather.rows; ++y, row += gather.row_stride) {
      const uint8_t* run = row;
      for (int64_t x = 0; x < gather.runs_a_row; ++x, run += gather.run_stride, to += gather.run_bytes) {
        int64_t byte = 0;
        do {
          _mm512_storeu_si512(to + byte, _mm512_loadu_si512(run + byte));
          byte += 64;
        } while (byte < gather.run_bytes);
      }
    }
  }
}

}  // namespace bitstage::kernels::amx
