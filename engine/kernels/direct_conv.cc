#include "engine/kernels/direct_conv.h"

#include <algorithm>
#include <cstring>

#include "engine/base/checked_math.h"
#include "engine/kernels/pixel_table.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kMaxLanes = 16;

// The sizes that follow from a shape.
struct Layout {
  Layout(const DirectTier& tier, const ConvShape& shape)
      : taps(shape.kernel_height * shape.kernel_width),
        steps(DivideRoundUp(shape.group_in(), 4)),
        blocks(DivideRoundUp(shape.group_out(), tier.lanes)),
        block_bytes(taps * steps * tier.lanes * 4),
        group_lanes(blocks * tier.lanes) {}

  int64_t taps;
  int64_t steps;
  int64_t blocks;  // of one group
  int64_t block_bytes;
  int64_t group_lanes;  // output channels of a group, rounded up to whole blocks
};

class Runner {
 public:
  Runner(const DirectTier& tier, const ConvShape& shape, const ConvCall& call, Scratch& scratch)
      : tier_(tier), shape_(shape), call_(call), layout_(tier, shape), table_(shape, scratch) {
    acc_init_ = scratch.Take<int32_t>(shape.groups * layout_.group_lanes);
  }

  void Run() {
    table_.FillPadding(call_.zero_point);
    PadAccInit();
    for (int64_t y = call_.row_begin; y < call_.row_end; y += table_.band_rows()) {
      const int64_t rows = std::min(table_.band_rows(), call_.row_end - y);
      table_.FillBand(call_, y, rows);
      for (int64_t group = 0; group < shape_.groups; ++group) {
        // Weights of one tile's channels stay in the L2 cache while all pixels of the band pass by.
        for (int64_t block = 0; block < layout_.blocks; block += tier_.max_blocks) {
          RunChannels(group, block, y * shape_.out_width, rows * shape_.out_width);
        }
      }
    }
  }

 private:
  void PadAccInit() {
    for (int64_t group = 0; group < shape_.groups; ++group) {
      int32_t* lanes = acc_init_ + group * layout_.group_lanes;
      std::copy_n(call_.acc_init + group * shape_.group_out(), shape_.group_out(), lanes);
      std::fill(lanes + shape_.group_out(), lanes + layout_.group_lanes, 0);
    }
  }

  void RunChannels(int64_t group, int64_t block, int64_t first_pixel, int64_t pixels) {
    const int64_t blocks = std::min(tier_.max_blocks, layout_.blocks - block);
    const DirectTier::Tile& kernel = tier_.tiles[blocks - 1];
    const int64_t channel = block * tier_.lanes;
    alignas(64) int32_t acc[PixelTable::kMaxTilePixels * kMaxTileBlocks * kMaxLanes];

    DirectTile tile = {};
    tile.at = table_.at();
    tile.taps = table_.taps();
    tile.tap_count = layout_.taps;
    tile.channel = group * shape_.group_in();
    tile.steps = layout_.steps;
    tile.block_bytes = layout_.block_bytes;
    tile.weights =
        reinterpret_cast<const int8_t*>(call_.packed_weights) + (group * layout_.blocks + block) * layout_.block_bytes;
    tile.acc_init = acc_init_ + group * layout_.group_lanes + channel;
    tile.acc = acc;

    for (int64_t pixel = 0; pixel < pixels; pixel += kernel.pixels) {
      const int64_t count = std::min(kernel.pixels, pixels - pixel);
      tile.pixels = table_.pixels() + pixel;
      (count == 1 ? kernel.run_single : kernel.run)(tile);
      OutputTile output = TileAt(call_, first_pixel + pixel, group * shape_.group_out() + channel);
      output.channels = std::min(blocks * tier_.lanes, shape_.group_out() - channel);
      output.pixels = count;
      output.acc = acc;
      output.acc_stride = blocks * tier_.lanes;
      tier_.transform(output);
    }
  }

  const DirectTier& tier_;
  const ConvShape& shape_;
  const ConvCall& call_;
  const Layout layout_;
  PixelTable table_;
  int32_t* acc_init_;
};

}  // namespace

double DirectCycles(const DirectTier& tier, const ConvShape& shape, double macs_per_cycle) {
  const Layout layout(tier, shape);
  const int64_t products = layout.taps * layout.steps * 4 * shape.groups * layout.group_lanes;
  return static_cast<double>(shape.tiled_pixels() * products) / macs_per_cycle;
}

size_t DirectPackedBytes(const DirectTier& tier, const ConvShape& shape) {
  const Layout layout(tier, shape);
  return static_cast<size_t>(shape.groups * layout.blocks * layout.block_bytes);
}

void DirectPack(const DirectTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  const Layout layout(tier, shape);
  std::memset(packed, 0, DirectPackedBytes(tier, shape));
  auto* bytes = reinterpret_cast<int8_t*>(packed);
  for (int64_t o = 0; o < shape.out_channels; ++o) {
    const int64_t in_group = o % shape.group_out();
    const int64_t block = o / shape.group_out() * layout.blocks + in_group / tier.lanes;
    int8_t* lane = bytes + block * layout.block_bytes + in_group % tier.lanes * 4;
    for (int64_t i = 0; i < shape.group_in(); ++i) {
      for (int64_t tap = 0; tap < layout.taps; ++tap) {
        lane[(tap * layout.steps + i / 4) * tier.lanes * 4 + i % 4] = *weights++;
      }
    }
  }
}

size_t DirectScratchBytes(const DirectTier& tier, const ConvShape& shape) {
  Scratch scratch(nullptr);
  const ConvCall no_call = {};
  const Runner runner(tier, shape, no_call, scratch);
  return scratch.bytes();
}

void DirectRun(const DirectTier& tier, const ConvShape& shape, const ConvCall& call) {
  Scratch scratch(call.scratch);
  Runner(tier, shape, call, scratch).Run();
}

}  // namespace bitstage::kernels
