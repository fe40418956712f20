#include <algorithm>
#include <cstring>

#include "engine/base/checked_math.h"
#include "engine/kernels/amx/amx.h"
#include "engine/kernels/amx/band.h"
#include "engine/kernels/amx/block.h"
#include "engine/kernels/amx/weights.h"
#include "engine/kernels/avx512_vnni/avx512_vnni.h"

namespace bitstage::kernels::amx {
namespace {

constexpr int64_t kBlockSums = kTileBytes;  // of four tiles, each of 16 x 16
constexpr int64_t kSumsSlack = 3 * 2 * kColumns;
constexpr int64_t kNowhere = 64;

class Runner {
 public:
  Runner(const ConvShape& shape, const Layout& layout, const ConvCall& call, Scratch& scratch)
      : shape_(shape), call_(call), layout_(layout), band_(shape, layout_, call, scratch) {
    for (int32_t*& sums : sums_) sums = scratch.Take<int32_t>(kBlockSums + kSumsSlack);
    nowhere_ = scratch.Take<uint8_t>(kNowhere);
    opened_ = scratch.Take<int8_t>(layout_.gathered() ? 0 : std::max(2 * layout_.steps(), kRingTiles) * kTileBytes);
  }

  void Run() {
    header_ = reinterpret_cast<const WeightsHeader*>(call_.packed_weights);
    band_.Begin();
    for (int64_t y = call_.row_begin; y < call_.row_end; y += layout_.band_rows()) {
      band_.Fill(y, std::min(layout_.band_rows(), call_.row_end - y));
      const int64_t columns = DivideRoundUp(shape_.out_channels, kColumns);
      // Few tiles of pixels: every tile of weights is used once.
      const int64_t pairs = band_.tiles() > 4 ? columns / 2 : 0;
      if (pairs > 0) Multiply(2, 0, 2 * pairs);
      if (2 * pairs < columns) Multiply(1, 2 * pairs, columns);
    }
    Release();
  }

 private:
  // All pixels of the band, for the tiles of output channels [begin, end), `columns` at a time.
  void Multiply(int64_t columns, int64_t begin, int64_t end) {
    const int64_t most_tiles = columns == 2 ? 2 : 4;
    ConfigureFor(columns, band_.tile_rows());
    Block block = {};
    block.line_stride = band_.line_stride();
    block.step_bytes = band_.step_bytes();
    block.steps = layout_.steps();
    block.rows = band_.tile_rows();
    for (int64_t column = begin; column < end; column += columns) {
      for (int64_t tile = 0; tile < band_.tiles(); tile += most_tiles) {
        const int64_t tiles = std::min(most_tiles, band_.tiles() - tile);
        for (int64_t i = 0; i < tiles; ++i) block.codes[i] = band_.TileAt(tile + i);
        const WeightSource source = PlaceWeights(column, tile == 0, band_.tiles() <= most_tiles && columns == 1, block);
        std::swap(sums_[0], sums_[1]);
        block.sums = sums_[0];
        (columns == 2 ? kTwoColumns : kOneColumn)[tiles - 1][source](block);
        block.pending = Pending(columns, column * kColumns, tile, tiles);
        if (call_.transform.to_float) WriteFloats(columns, column * kColumns, block.pending);
      }
    }
    (columns == 2 ? FinishTwoColumns : FinishOneColumn)(block.pending);
  }

  // once: nobody will want these weights again, so that opened tiles need not be kept.
  WeightSource PlaceWeights(int64_t column, bool first, bool once, Block& block) {
    const int64_t packed_column = layout_.steps() * PackedTileBytes(header_->bits);
    const std::byte* packed = call_.packed_weights + sizeof(WeightsHeader) + column * packed_column;
    block.packed = reinterpret_cast<const uint8_t*>(packed);
    block.packed_column = packed_column;
    block.weights_column = layout_.steps() * kTileBytes;
    block.weights_mask = -1;
    if (header_->bits == 8) {
      block.weights = reinterpret_cast<const int8_t*>(packed);
      return first && !layout_.gathered() ? kFar : kNear;
    }
    block.values = header_->values;
    block.opened = opened_;
    block.weights = opened_;
    if (once) block.weights_mask = kRingTiles - 1;
    return !first ? kNear : header_->bits == 4 ? kFourBits : kTwoBits;
  }

  PendingSums Pending(int64_t columns, int64_t channel, int64_t tile, int64_t tiles) const {
    PendingSums pending = {};
    pending.sums = sums_[0];
    pending.pixels = band_.PixelsAt(tile);
    pending.lines = tiles * band_.tile_rows();
    pending.channels = std::min(columns * kColumns, shape_.out_channels - channel);
    pending.acc_init = call_.acc_init + channel;
    pending.transform = From(call_.transform, channel);
    if (call_.residual != nullptr) pending.residual = call_.residual + channel;
    pending.residual_pixel_stride = call_.residual_pixel_stride;
    pending.output = static_cast<uint8_t*>(call_.output) + channel;
    pending.output_pixel_stride = call_.output_pixel_stride;
    pending.nowhere = nowhere_;
    return pending;
  }

  // Floats are the last layer's: not worth a micro-kernel of their own.
  void WriteFloats(int64_t columns, int64_t channel, PendingSums& pending) {
    for (int64_t line = 0; line < pending.lines; ++line) {
      if (pending.pixels[line] < 0) continue;
      int32_t* sums = sums_[0] + line * columns * kColumns;
      for (int64_t c = 0; c < pending.channels; ++c) sums[c] += pending.acc_init[c];
      OutputTile output = TileAt(call_, pending.pixels[line], channel);
      output.channels = pending.channels;
      output.pixels = 1;
      output.acc = sums;
      output.acc_stride = columns * kColumns;
      avx512_vnni::Transform(output);
    }
    pending.lines = 0;
  }

  const ConvShape& shape_;
  const ConvCall& call_;
  const Layout layout_;
  Band band_;
  const WeightsHeader* header_ = nullptr;
  int32_t* sums_[2];  // of the block under way, of the one before
  uint8_t* nowhere_;
  int8_t* opened_;
};

size_t ScratchBytes(const ConvShape& shape) {
  Scratch scratch(nullptr);
  const ConvCall no_call = {};
  const Runner runner(shape, Layout(shape), no_call, scratch);
  return scratch.bytes();
}

void Run(const ConvShape& shape, const ConvCall& call) {
  const auto* header = reinterpret_cast<const WeightsHeader*>(call.packed_weights);
  Scratch scratch(call.scratch);
  Runner(shape, Layout(shape, header->gathered), call, scratch).Run();
}

bool Supports(const ConvShape& shape, int, int) {
  // Beyond it lines fit no cache, and offsets come near 2^31.
  constexpr size_t kMaxScratchBytes = size_t{16} << 20;
  return shape.groups == 1 && ScratchBytes(shape) <= kMaxScratchBytes;
}

// From the tables of measurements of tile products, loads and vector work; not fitted to timings of this code.
double Cycles(const ConvShape& shape, int, int max_weight) {
  const Layout layout(shape);
  const auto outputs = static_cast<double>(shape.out_height * shape.out_width * shape.out_channels);
  // About half of the work on sums hides behind products.
  const double epilogue = outputs / 64 * 8;
  // In a network each layer's weights come from the L3 cache: 8 bytes a cycle. Weights of few values take fewer bits.
  const double packing = max_weight <= 1 ? 4 : max_weight <= 7 ? 2 : 1;
  const auto weights = static_cast<double>(DivideRoundUp(shape.out_channels, kColumns) * layout.steps() * kTileBytes);
  constexpr double kFixed = 500;  // configuration, tables
  return kFixed + std::max(layout.Cycles(), weights / packing / 8) + epilogue;
}

}  // namespace

constinit const ConvKernel kDirect = {
    "amx_direct",
    Supports,
    Cycles,
    [](const ConvShape& shape, const int8_t* weights) { return PackedBytes(shape, Layout(shape), weights); },
    [](const ConvShape& shape, const int8_t* weights, std::byte* packed) {
      Pack(shape, Layout(shape), weights, packed);
    },
    ScratchBytes,
    Run,
};

}  // namespace bitstage::kernels::amx
