#include "engine/kernels/winograd_conv.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "engine/base/checked_math.h"
#include "engine/kernels/pixel_table.h"
#include "engine/kernels/scratch.h"

namespace bitstage::kernels {
namespace {

constexpr int kMaxCode = 63;
constexpr int kMaxWeight = 14;
constexpr int64_t kStepBytes = 4;
constexpr int64_t kBandBytes = 400 << 10;  // transformed codes, beside a panel in the L2 cache
constexpr int64_t kTaps = 9;
constexpr int64_t kOverread = 64;
constexpr int64_t kCacheLine = 64;
constexpr int64_t kChannelMultiple = 64;  // of a PaddedTransform's arrays
constexpr int kPixels = 4;                // outputs of a tile
// The positions whose sums go to one output only, with which sign.
constexpr int kStartPosition[kPixels] = {0, 3, 12, 15};
constexpr int32_t kStartSign[kPixels] = {1, -1, -1, 1};
constexpr int kOutput[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};                  // Aᵀ
constexpr int kWeights[4][3] = {{2, 0, 0}, {1, 1, 1}, {1, -1, 1}, {0, 0, 2}};  // 2G

struct Layout {
  Layout(const WinogradTier& tier, const ConvShape& shape)
      : blocks(DivideRoundUp(shape.out_channels, tier.lanes)),
        lanes(blocks * tier.lanes),
        vectors(DivideRoundUp(shape.in_channels, 4)),
        steps(vectors * tier.code_bytes),
        tile_rows(DivideRoundUp(shape.out_height, 2)),
        tile_columns(DivideRoundUp(shape.out_width, 2)),
        tile_bytes(steps * kStepBytes) {
    const int64_t row_bytes = tile_columns * kWinogradPositions * tile_bytes;
    const int64_t bands = DivideRoundUp(tile_rows, std::max<int64_t>(1, kBandBytes / row_bytes));
    band_tile_rows = DivideRoundUp(tile_rows, bands);
    // A panel with fewer blocks takes more tiles at a time: right where that saves a pass.
    const auto passes = [&](int64_t b) { return DivideRoundUp(band_tile_rows * tile_columns, tier.max_tiles[b - 1]); };
    panel_blocks = std::min<int64_t>(blocks, kWinogradBlocks);
    if (panel_blocks > 3 && passes(panel_blocks - 1) < passes(panel_blocks)) --panel_blocks;
    group_tiles = tier.max_tiles[panel_blocks - 1];
    plane_bytes = RoundUp(group_tiles * tile_bytes + kOverread, kOverread);
    panel_plane_bytes = panel_blocks * steps * tier.lanes * kStepBytes + kOverread;
  }

  int64_t blocks;
  int64_t lanes;
  int64_t vectors;  // of packed weights: four input channels
  int64_t steps;    // of four bytes
  int64_t tile_rows, tile_columns;
  int64_t tile_bytes;    // of one position's codes
  int64_t panel_blocks;  // whose weights are opened at a time
  int64_t group_tiles;   // most tiles whose products are summed at a time
  int64_t plane_bytes;   // of one position's codes of a group of tiles
  int64_t panel_plane_bytes;
  int64_t band_tile_rows;  // whose codes are transformed at a time
};

// A convolution that reads what the tiles read: its output pixels are the tiles.
ConvShape TileShape(const Layout& layout, const ConvShape& shape, int64_t first_row) {
  ConvShape tiles = shape;
  tiles.out_height = layout.band_tile_rows;
  tiles.out_width = layout.tile_columns;
  tiles.kernel_height = tiles.kernel_width = 4;
  tiles.stride_height = tiles.stride_width = 2;
  tiles.pad_top -= first_row;
  return tiles;
}

PackedShape PackedShapeOf(const WinogradTier& tier, const ConvShape& shape) {
  return ByPositions(shape.out_channels, shape.in_channels, kTaps, tier.lanes);
}

// Calls use(PackedSource) for a layer's weights.
template <typename Use>
auto WithSource(const WinogradTier& tier, const ConvShape& shape, const int8_t* weights, const Use& use) {
  const PackedShape packed = PackedShapeOf(tier, shape);
  const LaneLayout lanes = LanesByPositions(packed, shape.in_channels);
  const int64_t per_output = shape.in_channels * kTaps;
  return use(PackedSource{.shape = packed,
                          .weights = {weights, static_cast<size_t>(shape.out_channels * per_output)},
                          .arrange = [&](int64_t block, int8_t* vectors) {
                            const int64_t first = block * tier.lanes;
                            lanes.Arrange(weights + first * per_output,
                                          std::min(tier.lanes, shape.out_channels - first), 4, vectors);
                          }});
}

size_t CorrectionBytes(const Layout& layout) {
  return static_cast<size_t>(RoundUp(kPixels * layout.lanes * static_cast<int64_t>(sizeof(int32_t)), kOverread));
}

// What an offset of 1 adds to each of a tile's four outputs (times 4): [pixel][lanes].
void WriteCorrections(const Layout& layout, const ConvShape& shape, const int8_t* weights, int32_t* corrections) {
  for (int64_t o = 0; o < shape.out_channels; ++o) {
    int32_t sum[kTaps] = {};  // over the input channels
    for (int64_t i = 0; i < shape.in_channels; ++i) {
      for (int32_t& tap : sum) tap += *weights++;
    }
    int64_t added[kPixels] = {};
    for (int position = 0; position < kWinogradPositions; ++position) {
      const int row = position / 4;
      const int column = position % 4;
      if (row == 1 && column == 1) continue;
      int64_t transformed = 0;
      for (int tap = 0; tap < kTaps; ++tap)
        transformed += kWeights[row][tap / 3] * kWeights[column][tap % 3] * sum[tap];
      for (int pixel = 0; pixel < kPixels; ++pixel) {
        added[pixel] += kOutput[pixel / 2][row] * kOutput[pixel % 2][column] * transformed;
      }
    }
    for (int pixel = 0; pixel < kPixels; ++pixel) {
      corrections[pixel * layout.lanes + o] = static_cast<int32_t>(added[pixel]);
    }
  }
}

// `tiles` in `count` groups: the first `larger` of them have one tile more.
struct Groups {
  Groups(int64_t tiles, int64_t most) : count(DivideRoundUp(tiles, most)), size(tiles / count), larger(tiles % count) {}
  int64_t count, size, larger;
  [[nodiscard]] int64_t SizeOf(int64_t group) const { return size + (group < larger ? 1 : 0); }
};

class Runner {
 public:
  Runner(const WinogradTier& tier, const ConvShape& shape, const ConvCall& call, Scratch& scratch)
      : tier_(tier),
        shape_(shape),
        call_(call),
        layout_(tier, shape),
        table_(TileShape(layout_, shape, call.row_begin), scratch),
        transform_(
            PadTransform(call.transform, shape.out_channels, RoundUp(layout_.lanes, kChannelMultiple), scratch)) {
    layout_.band_tile_rows = table_.band_rows();
    const int64_t tiles = layout_.band_tile_rows * layout_.tile_columns;
    const int64_t element = static_cast<int64_t>(sizeof(float));
    codes_ =
        scratch.Take<uint8_t>(DivideRoundUp(tiles, layout_.group_tiles) * kWinogradPositions * layout_.plane_bytes);
    panel_ = scratch.Take<int8_t>(kWinogradPositions * layout_.panel_plane_bytes);
    sums_ = scratch.Take<int32_t>(kWinogradPositions * kWinogradTiles * kWinogradBlocks * tier.lanes);
    start_ = scratch.Take<int32_t>((kPixels + 1) * layout_.lanes);
    tiles_at_ = scratch.Take<uint8_t*>(tiles);
    outputs_at_ = scratch.Take<std::byte*>(tiles * kPixels);
    residuals_at_ = scratch.Take<const uint8_t*>(tiles * kPixels);
    nowhere_ = scratch.Take<std::byte>(shape.out_channels * element + kOverread);
  }

  void Run() {
    packed_ = ViewPackedWeights(PackedShapeOf(tier_, shape_), call_.packed_weights + CorrectionBytes(layout_));
    table_.FillPadding(call_.zero_point);
    FillStart();
    const int64_t tile_rows = DivideRoundUp(call_.row_end - call_.row_begin, 2);
    for (int64_t row = 0; row < tile_rows; row += layout_.band_tile_rows) {
      const int64_t rows = std::min(layout_.band_tile_rows, tile_rows - row);
      RunBand(row, rows, row + rows == tile_rows);
    }
  }

 private:
  void FillStart() {
    const uint32_t offset = tier_.offset(call_.max_code);
    const auto* corrections = reinterpret_cast<const int32_t*>(call_.packed_weights);
    for (int pixel = 0; pixel < kPixels; ++pixel) {
      int32_t* start = start_ + pixel * layout_.lanes;
      std::fill(start, start + layout_.lanes, 0);
      for (int64_t o = 0; o < shape_.out_channels; ++o) {
        // Modulo 2^32, as all sums on the way to accumulators that fit.
        const uint32_t sum = 4 * static_cast<uint32_t>(call_.acc_init[o]) -
                             offset * static_cast<uint32_t>(corrections[pixel * layout_.lanes + o]);
        start[o] = static_cast<int32_t>(kStartSign[pixel] < 0 ? -sum : sum);
      }
    }
    std::fill_n(start_ + kPixels * layout_.lanes, layout_.lanes, 0);
  }

  void RunBand(int64_t first_row, int64_t rows, bool last) {
    table_.FillBand(call_, first_row, rows);
    const Groups groups(rows * layout_.tile_columns, layout_.group_tiles);
    TransformInput(rows, groups);
    FillOutputs(first_row, rows);
    for (int64_t block = 0; block < layout_.blocks; block += layout_.panel_blocks) {
      const int64_t blocks = std::min(layout_.panel_blocks, layout_.blocks - block);
      if (block != opened_block_) {
        tier_.open({packed_, layout_.vectors, block, blocks, panel_, layout_.panel_plane_bytes});
        opened_block_ = block;
      }
      const int64_t next = block + layout_.panel_blocks < layout_.blocks ? block + layout_.panel_blocks : 0;
      RunPanel(block, blocks, groups, next == 0 && last ? call_.ahead : WeightsOf(next));
    }
  }

  // The packed weights of the panel that begins at `block`.
  [[nodiscard]] Ahead WeightsOf(int64_t block) const {
    const int64_t block_bytes = kTaps * packed_.section_chunks * tier_.lanes * kStepBytes;
    const int64_t blocks = std::min(layout_.panel_blocks, layout_.blocks - block);
    return {reinterpret_cast<const std::byte*>(packed_.chunks) + block * block_bytes, blocks * block_bytes};
  }

  void TransformInput(int64_t rows, const Groups& groups) {
    uint8_t** at = tiles_at_;
    for (int64_t group = 0; group < groups.count; ++group) {
      uint8_t* codes = codes_ + group * kWinogradPositions * layout_.plane_bytes;
      for (int64_t tile = 0; tile < groups.SizeOf(group); ++tile) *at++ = codes + tile * layout_.tile_bytes;
    }
    WinogradInput input = {};
    input.tiles = layout_.tile_columns;
    input.channels = layout_.vectors * 4;
    input.offset = tier_.offset(call_.max_code);
    input.plane_bytes = layout_.plane_bytes;
    const int64_t width = table_.taps()[4];  // pointers from one row to the next
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t y = 0; y < 4; ++y) input.rows[y] = table_.at() + (2 * row + y) * width;
      input.at = tiles_at_ + row * layout_.tile_columns;
      tier_.transform_input(input);
    }
  }

  void FillOutputs(int64_t first_row, int64_t rows) {
    const int64_t element = call_.transform.to_float ? static_cast<int64_t>(sizeof(float)) : 1;
    std::byte** output = outputs_at_;
    const uint8_t** residual = residuals_at_;
    for (int64_t row = first_row; row < first_row + rows; ++row) {
      for (int64_t column = 0; column < layout_.tile_columns; ++column) {
        for (int pixel = 0; pixel < kPixels; ++pixel) {
          const int64_t y = call_.row_begin + 2 * row + pixel / 2;
          const int64_t x = 2 * column + pixel % 2;
          const bool inside = y < call_.row_end && x < shape_.out_width;
          const int64_t at = y * shape_.out_width + x;
          *output++ =
              inside ? static_cast<std::byte*>(call_.output) + at * call_.output_pixel_stride * element : nowhere_;
          if (call_.residual == nullptr) continue;
          *residual++ =
              inside ? call_.residual + at * call_.residual_pixel_stride : reinterpret_cast<const uint8_t*>(nowhere_);
        }
      }
    }
  }

  void RunPanel(int64_t block, int64_t blocks, const Groups& groups, const Ahead& ahead) {
    const int64_t channel = block * tier_.lanes;
    const int32_t* start[kWinogradPositions];
    std::fill_n(start, kWinogradPositions, start_ + kPixels * layout_.lanes);
    for (int pixel = 0; pixel < kPixels; ++pixel)
      start[kStartPosition[pixel]] = start_ + pixel * layout_.lanes + channel;
    WinogradProducts products = {};
    products.plane_bytes = layout_.plane_bytes;
    products.tile_bytes = layout_.tile_bytes;
    products.steps = layout_.steps;
    products.panel = panel_;
    products.panel_plane_bytes = layout_.panel_plane_bytes;
    products.start = start;
    products.sums = sums_;
    products.max_code = call_.max_code;
    products.max_weight = call_.max_weight;
    products.ahead = ahead.at;
    products.ahead_lines = DivideRoundUp(ahead.bytes, groups.count * kWinogradPositions * kCacheLine);
    WinogradOutput output = {};
    output.sums = sums_;
    output.channel = channel;
    output.channels = std::min(blocks * tier_.lanes, shape_.out_channels - channel);
    output.transform = From(transform_, channel);
    int64_t tile = 0;
    for (int64_t group = 0; group < groups.count; ++group) {
      const int64_t tiles = groups.SizeOf(group);
      products.codes = codes_ + group * kWinogradPositions * layout_.plane_bytes;
      tier_.multiply[blocks - 1][tiles - 1](products);
      products.ahead += kWinogradPositions * products.ahead_lines * kCacheLine;
      output.tiles = tiles;
      output.at = outputs_at_ + tile * kPixels;
      output.residual_at = call_.residual == nullptr ? nullptr : residuals_at_ + tile * kPixels;
      tier_.transform_output[blocks - 1](output);
      tile += tiles;
    }
  }

  const WinogradTier& tier_;
  const ConvShape& shape_;
  const ConvCall& call_;
  Layout layout_;
  PixelTable table_;
  const PaddedTransform transform_;
  PackedView packed_ = {};
  int64_t opened_block_ = -1;
  uint8_t* codes_;  // [group of tiles][position][tile][channel], positions plane_bytes apart
  int8_t* panel_;
  int32_t* sums_;
  int32_t* start_;  // [pixel][lanes], then a row of zeros
  uint8_t** tiles_at_;
  std::byte** outputs_at_;
  const uint8_t** residuals_at_;
  std::byte* nowhere_;  // for the pixels of tiles that reach over the edge
};

}  // namespace

bool WinogradSupports(const ConvShape& shape, int max_code, int max_weight) {
  return max_code <= kMaxCode && max_weight <= kMaxWeight && WideWinogradSupports(shape, max_code, max_weight);
}

bool WideWinogradSupports(const ConvShape& shape, int max_code, int max_weight) {
  return shape.groups == 1 && shape.kernel_height == 3 && shape.kernel_width == 3 && shape.stride_height == 1 &&
         shape.stride_width == 1 && shape.dilation_height == 1 && shape.dilation_width == 1 &&
         4 * kTaps * max_code * max_weight <= INT32_MAX / shape.in_channels;
}

double WinogradCycles(const WinogradTier& tier, const ConvShape& shape) {
  const Layout layout(tier, shape);
  const auto tiles = static_cast<double>(layout.tile_rows * layout.tile_columns);
  const auto steps = static_cast<double>(layout.steps);
  const auto blocks = static_cast<double>(layout.blocks);
  const double products = steps * kStepBytes / static_cast<double>(tier.code_bytes) * blocks *
                          static_cast<double>(tier.lanes) * kWinogradPositions;
  const auto bands = static_cast<double>(DivideRoundUp(layout.tile_rows, layout.band_tile_rows));
  const double registers = static_cast<double>(DivideRoundUp(layout.tile_bytes, tier.lanes * kStepBytes));
  return tiles * (products / tier.macs_per_cycle + registers * tier.input_cycles + blocks * tier.output_cycles) +
         (layout.blocks > layout.panel_blocks ? bands : 1) * steps * blocks * tier.open_cycles;
}

size_t WinogradPackedBytes(const WinogradTier& tier, const ConvShape& shape, const int8_t* weights) {
  return CorrectionBytes(Layout(tier, shape)) + WithSource(tier, shape, weights, PackedWeightsBytes);
}

void WinogradPack(const WinogradTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  const Layout layout(tier, shape);
  std::memset(packed, 0, CorrectionBytes(layout));
  WriteCorrections(layout, shape, weights, reinterpret_cast<int32_t*>(packed));
  WithSource(tier, shape, weights,
             [&](const PackedSource& source) { PackWeights(source, packed + CorrectionBytes(layout)); });
}

size_t WinogradScratchBytes(const WinogradTier& tier, const ConvShape& shape) {
  Scratch scratch(nullptr);
  const ConvCall no_call = {};
  const Runner runner(tier, shape, no_call, scratch);
  return scratch.bytes();
}

void WinogradRun(const WinogradTier& tier, const ConvShape& shape, const ConvCall& call) {
  Scratch scratch(call.scratch);
  Runner(tier, shape, call, scratch).Run();
}

}  // namespace bitstage::kernels
