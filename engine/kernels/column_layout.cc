#include "engine/kernels/column_layout.h"

#include <algorithm>

#include "engine/base/checked_math.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kStripBytes = 12 << 10;  // columns that lie ready in the L1 cache, beside the rows they come from

}  // namespace

ColumnLayout::ColumnLayout(const ColumnTier& tier, const ConvShape& shape)
    : pair(shape.dilation_height == 1 && shape.kernel_height + shape.stride_height <= kColumnRows ? 2 : 1),
      groups(DivideRoundUp(shape.kernel_height, kColumnRows)),
      blocks(DivideRoundUp(shape.in_channels, tier.block)),
      column_bytes(groups * kColumnRows * tier.block),
      row_weights(shape.kernel_width * column_bytes),
      window(shape.kernel_width == 3 && groups == 1 && shape.dilation_width == 1 && shape.dilation_height == 1 &&
             ((shape.stride_width == 1 && pair == 2) ||
              (shape.stride_width == 2 && pair == 1 && shape.kernel_height < kColumnRows))) {
  const int64_t reach = (shape.kernel_width - 1) * shape.dilation_width;
  const int64_t fit = (kStripBytes / column_bytes - reach - 1) / shape.stride_width + 1;
  strip = std::max<int64_t>(1, fit / tier.outputs) * tier.outputs;
  strip_columns = shape.ColumnsUnder(strip);
  // Windows of stride 2 gain from every output less, but not from narrower loads.
  const bool wide = window && shape.stride_width == 2;
  const int64_t step = wide ? 1 : tier.outputs;
  const auto runs = [&](int64_t parts) { return DivideRoundUp(DivideRoundUp(shape.out_width, parts), step); };
  const int64_t rest = shape.in_channels - (blocks - 1) * tier.block;
  while (last_parts < (wide ? 2 : kMaxColumnParts) && rest * last_parts * 2 <= tier.block &&
         runs(last_parts * 2) < runs(last_parts)) {
    last_parts *= 2;
  }
}

bool ColumnSupports(const ConvShape& shape) { return shape.IsDepthwise(); }

double ColumnCycles(const ColumnTier& tier, const ConvShape& shape) {
  const ColumnLayout layout(tier, shape);
  const auto dots = static_cast<double>(shape.kernel_width * layout.groups);
  const double blocks = static_cast<double>(layout.blocks - 1) + 1.0 / static_cast<double>(layout.last_parts);
  return static_cast<double>(shape.out_height * shape.out_width) * blocks *
         (dots * tier.dot_cycles + tier.output_cycles);
}

}  // namespace bitstage::kernels
