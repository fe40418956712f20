#include "engine/kernels/patch_layout.h"

#include <algorithm>

namespace bitstage::kernels {
namespace {

// Patches or padded rows beside four blocks' weights: all in the L1 cache, or in the L2 cache, where weights that take
// longer to fetch, and to open, serve more pixels.
constexpr int64_t kSmallChunkBytes = 16 << 10;
constexpr int64_t kChunkBytes = 192 << 10;
// Each chunk of pixels opens all weights anew: as many pixels as make that two hundredths of its products, or fewer
// where their patches are copied.
constexpr int64_t kMinChunkPixels = 252;
constexpr int64_t kMinCopiedPixels = 84;
// Shares of useful work from which on padded rows beat copied patches.
constexpr double kMinUse = 0.75;
constexpr double kMinRowUse = 0.9;
constexpr int64_t kMaxRestPixelBytes = 32;  // two pixels to a register

}  // namespace

PatchLayout::PatchLayout(const PatchTier& tier, const ConvShape& shape)
    : blocks(DivideRoundUp(shape.out_channels, tier.lanes)),
      row_bytes(shape.kernel_width * shape.in_channels),
      width(shape.ColumnsUnder(shape.out_width)) {
  const bool points = shape.kernel_height == 1 && shape.kernel_width == 1;
  const bool inside = shape.pad_top == 0 && shape.pad_left == 0 && shape.stride_height == 1 &&
                      shape.stride_width == 1 && shape.out_height <= shape.in_height &&
                      shape.out_width == shape.in_width;
  const int64_t first_blocks = std::min<int64_t>(blocks, kPatchBlocks);
  const auto choose_tile = [&](int64_t pixels, int sizes) {
    double best = 0;
    for (int size = 0; size < sizes; ++size) {
      const double use = PatchUse(pixels, tier.tiles[size][first_blocks - 1].pixels);
      if (use > best) tile_size = size;
      best = std::max(best, use);
    }
    return best;
  };
  const double row_use = choose_tile(shape.out_width, kPatchTileSizes);
  // Rows whose bytes are no whole steps cost dot products, but less than copies of patches.
  const bool dense_rows = shape.dilation_width == 1 && PatchUse(row_bytes, 4) >= kMinUse && row_use >= kMinRowUse;
  source = points && inside ? PatchSource::kInPlace : !points && dense_rows ? PatchSource::kRows : PatchSource::kCopied;
  if (source != PatchSource::kRows) choose_tile(shape.out_height * shape.out_width, kPatchLongTileSizes);
  tile_pixels = tier.tiles[tile_size][first_blocks - 1].pixels;
  segments = source == PatchSource::kRows ? shape.kernel_height : 1;
  segment_weights = source == PatchSource::kRows ? row_bytes : row_bytes * shape.kernel_height;
  steps = DivideRoundUp(segment_weights, 4);
  pixel_bytes = shape.stride_width * shape.in_channels;
  const int64_t rests = DivideRoundUp(row_bytes % 4 * segments, 4);
  if (source == PatchSource::kRows && steps > 1 && rests > 0 && rests < segments && pixel_bytes >= 4 &&
      pixel_bytes <= kMaxRestPixelBytes) {
    rest_segments = rests;
    --steps;
  }
  vectors = segments * steps + rest_segments;
  block_bytes = vectors * tier.lanes * 4;
  patch_bytes = steps * 4;
  const int64_t chunk_bytes = kPatchBlocks * block_bytes <= kSmallChunkBytes ? kSmallChunkBytes : kChunkBytes;
  if (source == PatchSource::kRows) {
    const int64_t most = chunk_bytes / (width * shape.in_channels) - (shape.kernel_height - 1) * shape.dilation_height;
    band_rows = std::clamp<int64_t>(most / shape.stride_height, 1, shape.out_height);
  } else {
    chunk_pixels =
        std::max(chunk_bytes / patch_bytes, source == PatchSource::kInPlace ? kMinChunkPixels : kMinCopiedPixels);
  }
  // A section a kernel position, where no step holds two of them.
  const int64_t sections = shape.in_channels % 4 == 0 ? shape.kernel_height * shape.kernel_width : 1;
  packed = {
      .blocks = blocks, .sections = sections, .section_vectors = vectors / sections, .vector_bytes = tier.lanes * 4};
}

bool PatchSupports(const ConvShape& shape) { return shape.groups == 1; }

double PatchCycles(const PatchTier& tier, const ConvShape& shape) {
  const PatchLayout layout(tier, shape);
  const auto pixels = static_cast<double>(shape.tiled_pixels());
  const auto lanes = static_cast<double>(layout.blocks * tier.lanes);
  const auto steps = static_cast<double>(layout.vectors);
  const double copied = layout.source == PatchSource::kCopied ? steps * 4 / 32 : 0;
  return pixels *
         (steps * 4 * lanes / tier.macs_per_cycle + copied + static_cast<double>(layout.blocks) * tier.pixel_cycles);
}

}  // namespace bitstage::kernels
