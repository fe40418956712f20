// The table of a cell that is coded with contexts, from the codes around it. In an unnamed namespace, as cells.h.
#pragma once

#include "engine/codec/cell_kernels.h"
#include "engine/codec/contexts.h"

namespace bitstage::codec::portable {
namespace {

// Tables of the contexts' cells, found from codes (whose shift is the same everywhere): k needs 4 · (l + u₀) or a
// shifted sum, and u₁ in steps.
class ContextTables {
 public:
  explicit ContextTables(const CellTables& tables)
      : tables_(tables), down_(tables.shift_of[0] + (tables.pairs ? 0 : SingleContextShift(tables.bits_of[0]))) {
    for (int u1 = 0; tables.pairs && u1 < 1 << tables.bits_of[0]; ++u1) {
      step_of_[u1 << tables.shift_of[0]] = static_cast<uint8_t>(PairContext(0, 0, u1, tables.bits_of[0]));
    }
  }

  // What the cells of a channel share: the tables of its group's contexts.
  const uint8_t* OfChannel(int64_t c) const { return tables_.of_context + tables_.group_of[c] * tables_.contexts; }
  template <bool kPairs>
  uint32_t TableOf(const uint8_t* of_channel, uint32_t l, uint32_t u0, uint32_t u1) const {
    const uint32_t sum = (l + u0) >> down_;
    return of_channel[kPairs ? 4 * sum + step_of_[u1] : sum];
  }

 private:
  const CellTables& tables_;
  int down_;
  uint8_t step_of_[256] = {};
};

// Where a row of cells stands in its image.
struct Place {
  int64_t left;    // distance to the left pixel's codes: channels, or 0 in the first column
  int64_t above;   // to the row above's: width · channels, or 0 in the first row
  bool has_right;  // the row above has a pixel over the second one
};

// The table of the cell of channel c whose first pixel is at `codes`.
template <bool kPairs>
uint32_t TableAt(const ContextTables& contexts, const Place& place, int64_t channels, const uint8_t* codes, int64_t c) {
  uint32_t l = place.left != 0 ? codes[c - place.left] : 0;
  uint32_t u0 = l;
  uint32_t u1 = l;
  if (place.above != 0) {
    u0 = codes[c - place.above];
    u1 = kPairs && place.has_right ? codes[c - place.above + channels] : 0;
    if (place.left == 0) l = u0;
  }
  return contexts.TableOf<kPairs>(contexts.OfChannel(c), l, u0, u1);
}

inline bool HasAbove(const RowBlock& block, int64_t row) {
  return row == 0 ? block.has_above : (block.first + row) % block.height != 0;
}

}  // namespace
}  // namespace bitstage::codec::portable
