#include "engine/kernels/winograd_layout.h"

#include <algorithm>
#include <cstdint>

namespace bitstage::kernels {
namespace {

constexpr int kMaxCode = 63;
constexpr int64_t kTaps = 9;
constexpr int64_t kBandBytes = 400 << 10;  // transformed codes, beside a panel in the L2 cache
// Tiles of an image, where panels rather than rows are what divides a layer, and several images are computed at once:
// with codes that do not all stay in the L2 cache, for to open the weights once more costs more.
constexpr int64_t kWholeTiles = 64;
constexpr int64_t kWholeImages = 8;
constexpr int64_t kImagesBytes = 1100 << 10;
constexpr int64_t kOneGroupSteps = 64;
constexpr int64_t kRowSteps = 32;  // weights of a row of positions: half an L1 cache
constexpr int64_t kRowGroup = 12;  // tiles whose sums fit the other half

// Tiles of an image times the planes of codes that they need.
double TilePlanes(const WinogradForm& form, const ConvShape& shape, const WinogradLayout& layout) {
  if (!layout.one_group) return static_cast<double>(layout.tile_rows * layout.tile_columns * layout.code_planes);
  const WinogradTileOrder order(shape.out_height, shape.out_width);
  int64_t sum = 0;
  for (int position = 0; position < form.all_positions(); ++position) {
    const int row = position / form.positions;
    const int column = position % form.positions;
    sum += (order.End(form, position) - order.Begin(form, position)) *
           (form.first_code[row + 1] - form.first_code[row]) * (form.first_code[column + 1] - form.first_code[column]);
  }
  return static_cast<double>(sum);
}

}  // namespace

WinogradLayout::WinogradLayout(const WinogradTier& tier, const ConvShape& shape)
    : blocks(DivideRoundUp(shape.out_channels, tier.lanes)),
      lanes(blocks * tier.lanes),
      vectors(DivideRoundUp(shape.in_channels, 4)),
      steps(vectors * tier.code_bytes),
      tile_rows(DivideRoundUp(shape.out_height, 2)),
      tile_columns(DivideRoundUp(shape.out_width, 2)),
      tile_bytes(steps * kWinogradStepBytes),
      code_planes(tier.form->code_planes()) {
  const int64_t row_bytes = tile_columns * code_planes * tile_bytes;
  const int64_t image_tiles = tile_rows * tile_columns;
  whole = image_tiles <= kWholeTiles && tile_rows * row_bytes <= kBandBytes;
  if (whole) {
    band_images = std::clamp<int64_t>(kImagesBytes / (tile_rows * row_bytes), 1, kWholeImages);
    band_tile_rows = tile_rows;
  } else {
    band_tile_rows = DivideRoundUp(tile_rows, DivideRoundUp(tile_rows, std::max<int64_t>(1, kBandBytes / row_bytes)));
  }
  one_group =
      whole && image_tiles <= kWinogradOneGroupTiles && steps >= kOneGroupSteps && tile_bytes % kWinogradOverread == 0;
  panel_blocks = std::min<int64_t>(blocks, kWinogradBlocks);
  by_rows = tier.transform_rows != nullptr && !one_group && steps <= kRowSteps && blocks % kWinogradBlocks == 0;
  if (by_rows) {
    group_tiles = kRowGroup;
  } else if (one_group) {
    group_tiles = image_tiles;
  } else {
    // A panel with fewer blocks takes more tiles at a time: right where that saves passes of all panels.
    const auto passes = [&](int64_t b) {
      return DivideRoundUp(band_tile_rows * tile_columns, tier.max_tiles[b - 1]) * DivideRoundUp(blocks, b);
    };
    if (panel_blocks > 3 && passes(panel_blocks - 1) < passes(panel_blocks)) --panel_blocks;
    group_tiles = tier.max_tiles[panel_blocks - 1];
  }
  plane_bytes = RoundUp(group_tiles * tile_bytes + kWinogradOverread, kWinogradOverread);
  panel_plane_bytes = panel_blocks * steps * tier.lanes * kWinogradStepBytes + kWinogradOverread;
  correction_bytes = RoundUp(kWinogradPixels * lanes * static_cast<int64_t>(sizeof(int32_t)), kWinogradOverread);
  packed = ByPositions(shape.out_channels, shape.in_channels, kTaps, tier.lanes);
}

bool WinogradSupports(const WinogradForm& form, const ConvShape& shape, int max_code, int max_weight) {
  return max_code <= kMaxCode && max_weight <= form.max_weight &&
         WideWinogradSupports(form, shape, max_code, max_weight);
}

bool WideWinogradSupports(const WinogradForm& form, const ConvShape& shape, int max_code, int max_weight) {
  return shape.groups == 1 && shape.kernel_height == 3 && shape.kernel_width == 3 &&
         shape.stride_height == form.stride && shape.stride_width == form.stride && shape.dilation_height == 1 &&
         shape.dilation_width == 1 &&
         form.scale * form.scale * kTaps * max_code * max_weight <= INT32_MAX / shape.in_channels;
}

int64_t WinogradPanels(const WinogradTier& tier, const ConvShape& shape) {
  const WinogradLayout layout(tier, shape);
  return layout.whole ? layout.panels() : 0;
}

double WinogradCycles(const WinogradTier& tier, const ConvShape& shape) {
  const WinogradLayout layout(tier, shape);
  const auto tiles = static_cast<double>(layout.tile_rows * layout.tile_columns);
  const auto steps = static_cast<double>(layout.steps);
  const auto blocks = static_cast<double>(layout.blocks);
  const double products = steps * kWinogradStepBytes / static_cast<double>(tier.code_bytes) * blocks *
                          static_cast<double>(tier.lanes) * TilePlanes(*tier.form, shape, layout);
  const auto bands = static_cast<double>(DivideRoundUp(layout.tile_rows, layout.band_tile_rows));
  const double registers = static_cast<double>(DivideRoundUp(layout.tile_bytes, tier.lanes * kWinogradStepBytes));
  const auto groups = static_cast<double>(DivideRoundUp(layout.tile_rows * layout.tile_columns, layout.group_tiles) *
                                          layout.panels() * layout.code_planes);
  return groups * tier.plane_cycles + products / tier.macs_per_cycle +
         tiles * (registers * tier.input_cycles + blocks * tier.output_cycles) +
         (layout.blocks > layout.panel_blocks ? bands : 1) * steps * blocks * tier.open_cycles;
}

}  // namespace bitstage::kernels
