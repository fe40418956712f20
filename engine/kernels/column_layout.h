// ColumnLayout: how a depthwise convolution by columns (depthwise_columns.h) cuts a layer: its output rows into pairs,
// its channels into blocks, the last block's rows into parts, rows into strips.
//
// Not for files that are compiled with vector flags: its code is inline.
#pragma once

#include <cstdint>

#include "engine/kernels/depthwise_columns.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

inline constexpr int64_t kColumnRows = 4;  // that one dword holds

// The sizes that follow from a shape.
struct ColumnLayout {
  ColumnLayout(const ColumnTier& tier, const ConvShape& shape);

  [[nodiscard]] int64_t parts(int64_t block) const { return block == blocks - 1 ? last_parts : 1; }

  int64_t pair;  // output rows computed together
  int64_t groups;
  int64_t blocks;
  int64_t column_bytes;
  int64_t row_weights;  // bytes of weights of one block and one output row
  bool window;          // as ColumnWindow says
  int64_t strip;        // outputs of a row whose columns are interleaved at a time
  int64_t strip_columns;
  int64_t last_parts = 1;  // of the last block
};

}  // namespace bitstage::kernels
