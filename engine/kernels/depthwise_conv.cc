#include "engine/kernels/depthwise_conv.h"

#include <algorithm>
#include <cstring>

#include "engine/base/checked_math.h"
#include "engine/kernels/pixel_table.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kTileAccumulators = 2048;  // 8 KB, well within the L1 cache
constexpr int64_t kMaxTilePixels = 16;

struct Layout {
  Layout(const DepthwiseTier& tier, const ConvShape& shape)
      : taps(shape.kernel_height * shape.kernel_width),
        tap_groups(DivideRoundUp(taps, tier.tap_group)),
        blocks(DivideRoundUp(shape.in_channels, tier.block)),
        group_weights(tier.block * tier.tap_group),
        tile_pixels(std::clamp<int64_t>(kTileAccumulators / (blocks * tier.block), 1, kMaxTilePixels)) {}

  int64_t taps;
  int64_t tap_groups;
  int64_t blocks;
  int64_t group_weights;  // of one block of channels and one group of kernel positions
  int64_t tile_pixels;
};

class Runner {
 public:
  Runner(const DepthwiseTier& tier, const ConvShape& shape, const ConvCall& call, Scratch& scratch)
      : tier_(tier), shape_(shape), call_(call), layout_(tier, shape), table_(shape, scratch) {
    acc_init_ = scratch.Take<int32_t>(layout_.blocks * tier.block);
    acc_ = scratch.Take<int32_t>(layout_.tile_pixels * layout_.blocks * tier.block);
    taps_ = scratch.Take<const uint8_t*>(layout_.tile_pixels * layout_.tap_groups * tier.tap_group);
  }

  void Run() {
    table_.FillPadding(call_.zero_point);
    std::copy_n(call_.acc_init, shape_.in_channels, acc_init_);
    std::fill(acc_init_ + shape_.in_channels, acc_init_ + layout_.blocks * tier_.block, 0);
    for (int64_t y = call_.row_begin; y < call_.row_end; y += table_.band_rows()) {
      const int64_t rows = std::min(table_.band_rows(), call_.row_end - y);
      table_.FillBand(call_, y, rows);
      const int64_t pixels = rows * shape_.out_width;
      for (int64_t pixel = 0; pixel < pixels; pixel += layout_.tile_pixels) {
        RunTile(y * shape_.out_width, pixel, std::min(layout_.tile_pixels, pixels - pixel));
      }
    }
  }

 private:
  // `pixel` counts from the band's first, which is `first_pixel` of the output.
  void RunTile(int64_t first_pixel, int64_t pixel, int64_t count) {
    const uint8_t** taps = taps_;
    for (int64_t i = 0; i < count; ++i) {
      const uint8_t* const* at = table_.at() + table_.pixels()[pixel + i];
      for (int64_t tap = 0; tap < layout_.taps; ++tap) *taps++ = at[table_.taps()[tap]];
      // Kernel positions with weight 0 may read any pixel.
      for (int64_t tap = layout_.taps; tap < layout_.tap_groups * tier_.tap_group; ++tap) *taps++ = at[0];
    }
    tier_.run({count, taps_, layout_.tap_groups, layout_.blocks, call_.packed_weights, acc_init_, acc_});
    OutputTile output = TileAt(call_, first_pixel + pixel, 0);
    output.channels = shape_.out_channels;
    output.pixels = count;
    output.acc = acc_;
    output.acc_stride = layout_.blocks * tier_.block;
    tier_.transform(output);
  }

  const DepthwiseTier& tier_;
  const ConvShape& shape_;
  const ConvCall& call_;
  const Layout layout_;
  PixelTable table_;
  int32_t* acc_init_;
  int32_t* acc_;
  const uint8_t** taps_;
};

}  // namespace

size_t DepthwisePackedBytes(const DepthwiseTier& tier, const ConvShape& shape) {
  const Layout layout(tier, shape);
  return static_cast<size_t>(layout.blocks * layout.tap_groups * layout.group_weights * tier.weight_bytes);
}

void DepthwisePack(const DepthwiseTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  const Layout layout(tier, shape);
  std::memset(packed, 0, DepthwisePackedBytes(tier, shape));
  for (int64_t c = 0; c < shape.in_channels; ++c) {
    for (int64_t tap = 0; tap < layout.taps; ++tap) {
      const int64_t group = c / tier.block * layout.tap_groups + tap / tier.tap_group;
      const int64_t index = group * layout.group_weights + tier.position(c % tier.block, tap % tier.tap_group);
      const int16_t weight = *weights++;
      // Little-endian: the first byte of an int16 is the int8.
      std::memcpy(packed + index * tier.weight_bytes, &weight, static_cast<size_t>(tier.weight_bytes));
    }
  }
}

size_t DepthwiseScratchBytes(const DepthwiseTier& tier, const ConvShape& shape) {
  Scratch scratch(nullptr);
  const ConvCall no_call = {};
  const Runner runner(tier, shape, no_call, scratch);
  return scratch.bytes();
}

void DepthwiseRun(const DepthwiseTier& tier, const ConvShape& shape, const ConvCall& call) {
  Scratch scratch(call.scratch);
  Runner(tier, shape, call, scratch).Run();
}

}  // namespace bitstage::kernels
