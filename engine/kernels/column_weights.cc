// The weights of a depthwise convolution by columns, packed as depthwise_columns.h says.
#include <cstring>

#include "engine/kernels/column_layout.h"
#include "engine/kernels/depthwise_columns.h"
#include "engine/kernels/packed_weights.h"

namespace bitstage::kernels {

size_t ColumnPackedBytes(const ColumnTier& tier, const ConvShape& shape) {
  const ColumnLayout layout(tier, shape);
  return static_cast<size_t>(layout.blocks * layout.pair * layout.row_weights);
}

void ColumnPack(const ColumnTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  const ColumnLayout layout(tier, shape);
  std::memset(packed, 0, ColumnPackedBytes(tier, shape));
  auto* bytes = reinterpret_cast<int8_t*>(packed);
  for (int64_t c = 0; c < shape.in_channels; ++c) {
    const int64_t block = c / tier.block;
    const int64_t part_channels = tier.block / layout.parts(block);
    for (int64_t ky = 0; ky < shape.kernel_height; ++ky) {
      for (int64_t kx = 0; kx < shape.kernel_width; ++kx) {
        const int8_t weight = *weights++;
        for (int64_t row = 0; row < layout.pair; ++row) {
          const int64_t at = ky + row * shape.stride_height;
          int8_t* group = bytes + (block * layout.pair + row) * layout.row_weights + kx * layout.column_bytes +
                          at / kColumnRows * kColumnRows * tier.block;
          for (int64_t lane = c % tier.block; lane < tier.block; lane += part_channels) {
            group[tier.position(lane) * kColumnRows + at % kColumnRows] = weight;
          }
        }
      }
    }
  }
}

void ColumnScale(const ColumnTier& tier, const ConvShape& shape, int factor, std::byte* packed) {
  ScaleWeights({reinterpret_cast<int8_t*>(packed), ColumnPackedBytes(tier, shape)}, factor);
}

}  // namespace bitstage::kernels
