#include "engine/kernels/winograd_conv.h"

#include <algorithm>

#include "engine/base/checked_math.h"
#include "engine/kernels/pixel_table.h"
#include "engine/kernels/scratch.h"
#include "engine/kernels/winograd_layout.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kCacheLine = 64;
constexpr int64_t kChannelMultiple = 64;  // of a PaddedTransform's arrays
constexpr int kMaxPositions = 16;

// A convolution that reads what the tiles read: its output pixels are the tiles.
ConvShape TileShape(const WinogradForm& form, const WinogradLayout& layout, const ConvShape& shape, int64_t first_row) {
  ConvShape tiles = shape;
  tiles.out_height = layout.band_tile_rows;
  tiles.out_width = layout.tile_columns;
  tiles.kernel_height = tiles.kernel_width = form.codes;
  tiles.stride_height = tiles.stride_width = 2 * form.stride;
  tiles.pad_top -= first_row * form.stride;
  return tiles;
}

class Runner {
 public:
  Runner(const WinogradTier& tier, const ConvShape& shape, const ConvCall& call, Scratch& scratch)
      : tier_(tier),
        form_(*tier.form),
        shape_(shape),
        call_(call),
        layout_(tier, shape),
        order_(call.row_end - call.row_begin, shape.out_width),
        table_(TileShape(form_, layout_, shape, call.row_begin), scratch),
        transform_(
            PadTransform(call.transform, shape.out_channels, RoundUp(layout_.lanes, kChannelMultiple), scratch)) {
    layout_.band_tile_rows = table_.band_rows();
    layout_.band_images = std::min(layout_.band_images, call.images);
    const int64_t tiles = layout_.band_images * layout_.band_tile_rows * layout_.tile_columns;
    const int64_t element = static_cast<int64_t>(sizeof(float));
    codes_ =
        scratch.Take<uint8_t>(DivideRoundUp(tiles, layout_.group_tiles) * layout_.code_planes * layout_.plane_bytes);
    panel_ = scratch.Take<int8_t>(kWinogradWeightPlanes * layout_.panel_plane_bytes);
    sums_ = scratch.Take<int32_t>(form_.all_positions() *
                                  SumsPlane(std::max<int64_t>(layout_.group_tiles, kWinogradTiles), kWinogradBlocks));
    start_ = scratch.Take<int32_t>((kWinogradPixels + 1) * layout_.lanes);
    tiles_at_ = scratch.Take<uint8_t*>(tiles);
    outputs_at_ = scratch.Take<std::byte*>(tiles * kWinogradPixels);
    residuals_at_ = scratch.Take<const uint8_t*>(tiles * kWinogradPixels);
    nowhere_ = scratch.Take<std::byte>(shape.out_channels * element + kWinogradOverread);
  }

  void Run() {
    if (call_.row_begin == call_.row_end) return;
    packed_ = ViewPackedWeights(layout_.packed, call_.packed_weights + layout_.correction_bytes);
    table_.FillPadding(call_.zero_point);
    FillStart();
    if (layout_.whole) {
      for (int64_t image = 0; image < call_.images; image += layout_.band_images) {
        const int64_t images = std::min(layout_.band_images, call_.images - image);
        RunBand({image, images, 0, DivideRoundUp(call_.row_end - call_.row_begin, 2)}, image + images == call_.images);
      }
      return;
    }
    const int64_t tile_rows = DivideRoundUp(call_.row_end - call_.row_begin, 2);
    for (int64_t row = 0; row < tile_rows; row += layout_.band_tile_rows) {
      const int64_t rows = std::min(layout_.band_tile_rows, tile_rows - row);
      RunBand({0, 1, row, rows}, row + rows == tile_rows);
    }
  }

 private:
  struct Band {
    int64_t first_image, images;
    int64_t first_row, rows;  // of tiles, of every image
  };

  // From one position's sums to the next one's: not a power of two, which would meet in one set of a cache.
  [[nodiscard]] int64_t SumsPlane(int64_t tiles, int64_t blocks) const { return (tiles * blocks + 1) * tier_.lanes; }

  void FillStart() {
    const uint32_t offset = tier_.offset(call_.max_code);
    const auto scale = static_cast<uint32_t>(form_.scale * form_.scale);
    const auto* corrections = reinterpret_cast<const int32_t*>(call_.packed_weights);
    for (int pixel = 0; pixel < kWinogradPixels; ++pixel) {
      int32_t* start = start_ + pixel * layout_.lanes;
      std::fill(start, start + layout_.lanes, 0);
      for (int64_t o = 0; o < shape_.out_channels; ++o) {
        // Modulo 2^32, as all sums on the way to accumulators that fit.
        const uint32_t sum = scale * static_cast<uint32_t>(call_.acc_init[o]) -
                             offset * static_cast<uint32_t>(corrections[pixel * layout_.lanes + o]);
        start[o] = static_cast<int32_t>(sum);
      }
    }
    std::fill_n(start_ + kWinogradPixels * layout_.lanes, layout_.lanes, 0);
  }

  void RunBand(const Band& band, bool last) {
    const WinogradGroups groups(band.images * band.rows * layout_.tile_columns,
                                layout_.one_group ? band.rows * layout_.tile_columns : layout_.group_tiles);
    PlaceTiles(groups);
    for (int64_t image = 0; image < band.images; ++image) {
      TransformInput(band, image);
      FillOutputs(band, image);
    }
    const int64_t end =
        layout_.whole ? std::min(call_.panel_end * layout_.panel_blocks, layout_.blocks) : layout_.blocks;
    const int64_t begin = layout_.whole ? call_.panel_begin * layout_.panel_blocks : 0;
    for (int64_t block = begin; block < end; block += layout_.panel_blocks) {
      const int64_t blocks = std::min(layout_.panel_blocks, end - block);
      if (block != opened_block_) {
        tier_.open({packed_, layout_.vectors, block, blocks, panel_, layout_.panel_plane_bytes});
        opened_block_ = block;
      }
      const bool is_last = block + blocks == end;
      RunPanel(block, blocks, groups, is_last && last ? call_.ahead : WeightsOf(is_last ? begin : block + blocks));
    }
  }

  // The packed weights of the panel that begins at `block`.
  [[nodiscard]] Ahead WeightsOf(int64_t block) const {
    const int64_t block_bytes = layout_.packed.sections * packed_.section_chunks * layout_.packed.vector_bytes;
    const int64_t blocks = std::min(layout_.panel_blocks, layout_.blocks - block);
    return {reinterpret_cast<const std::byte*>(packed_.chunks) + block * block_bytes, blocks * block_bytes};
  }

  void PlaceTiles(const WinogradGroups& groups) {
    uint8_t** at = tiles_at_;
    for (int64_t group = 0; group < groups.count; ++group) {
      uint8_t* codes = codes_ + group * layout_.code_planes * layout_.plane_bytes;
      for (int64_t tile = 0; tile < groups.SizeOf(group); ++tile) *at++ = codes + tile * layout_.tile_bytes;
    }
  }

  // Of a tile of the band's image `image`.
  [[nodiscard]] int64_t IndexOf(const Band& band, int64_t image, int64_t row, int64_t column) const {
    const int64_t first = image * band.rows * layout_.tile_columns;
    return first + (layout_.one_group ? order_.IndexOf(row, column) : row * layout_.tile_columns + column);
  }

  void TransformInput(const Band& band, int64_t image) {
    ConvCall call = call_;
    call.input += (band.first_image + image) * call.input_image_bytes;
    table_.FillBand(call, band.first_row, band.rows);
    WinogradInput input = {};
    input.tiles = layout_.tile_columns;
    input.channels = layout_.vectors * 4;
    input.offset = tier_.offset(call_.max_code);
    input.plane_bytes = layout_.plane_bytes;
    const int64_t width = table_.taps()[form_.codes];  // pointers from one row to the next
    for (int64_t row = 0; row < band.rows; ++row) {
      for (int64_t y = 0; y < form_.codes; ++y) {
        input.rows[y] = table_.at() + (2 * form_.stride * row + y) * width;
      }
      if (layout_.one_group) {
        for (int64_t column = 0; column < layout_.tile_columns; ++column) {
          row_at_[column] = tiles_at_[IndexOf(band, image, row, column)];
        }
        input.at = row_at_;
      } else {
        input.at = tiles_at_ + IndexOf(band, image, row, 0);
      }
      tier_.transform_input(input);
    }
  }

  void FillOutputs(const Band& band, int64_t image) {
    const int64_t element = call_.transform.to_float ? static_cast<int64_t>(sizeof(float)) : 1;
    const int64_t global = band.first_image + image;
    std::byte* output = static_cast<std::byte*>(call_.output) + global * call_.output_image_bytes;
    const uint8_t* residual =
        call_.residual == nullptr ? nullptr : call_.residual + global * call_.residual_image_bytes;
    const int64_t pixel_bytes = call_.output_pixel_stride * element;
    for (int64_t row = 0; row < band.rows; ++row) {
      const int64_t y = call_.row_begin + 2 * (band.first_row + row);
      const bool below = y + 1 < call_.row_end;
      for (int64_t column = 0; column < layout_.tile_columns; ++column) {
        const int64_t tile = IndexOf(band, image, row, column) * kWinogradPixels;
        const bool right = 2 * column + 1 < shape_.out_width;
        const int64_t at = y * shape_.out_width + 2 * column;
        PlacePixels(output + at * pixel_bytes, pixel_bytes, right, below, nowhere_, outputs_at_ + tile);
        if (residual == nullptr) continue;
        PlacePixels(residual + at * call_.residual_pixel_stride, call_.residual_pixel_stride, right, below,
                    reinterpret_cast<const uint8_t*>(nowhere_), residuals_at_ + tile);
      }
    }
  }

  // The four pixels of a tile whose first is at `first`; some of them may not be `right`, or `below`.
  template <typename T>
  void PlacePixels(T* first, int64_t pixel_bytes, bool right, bool below, T* nowhere, T** at) const {
    T* const next_row = first + shape_.out_width * pixel_bytes;
    at[0] = first;
    at[1] = right ? first + pixel_bytes : nowhere;
    at[2] = below ? next_row : nowhere;
    at[3] = right && below ? next_row + pixel_bytes : nowhere;
  }

  void RunPanel(int64_t block, int64_t blocks, const WinogradGroups& groups, const Ahead& ahead) {
    const int64_t channel = block * tier_.lanes;
    const int32_t* start[kMaxPositions];
    std::fill_n(start, kMaxPositions, start_ + kWinogradPixels * layout_.lanes);
    for (int pixel = 0; pixel < kWinogradPixels; ++pixel) {
      start[form_.Corner(pixel)] = start_ + pixel * layout_.lanes + channel;
    }
    WinogradProducts products = {};
    products.plane_bytes = layout_.plane_bytes;
    products.tile_bytes = layout_.tile_bytes;
    products.steps = layout_.steps;
    products.panel = panel_;
    products.panel_plane_bytes = layout_.panel_plane_bytes;
    products.start = start;
    products.max_code = call_.max_code;
    products.max_weight = call_.max_weight;
    products.ahead = ahead.at;
    products.ahead_lines = DivideRoundUp(ahead.bytes, groups.count * form_.all_positions() * kCacheLine);
    WinogradOutput output = {};
    output.sums = sums_;
    output.channel = channel;
    output.channels = std::min(blocks * tier_.lanes, shape_.out_channels - channel);
    output.transform = From(transform_, channel);
    int64_t tile = 0;
    for (int64_t group = 0; group < groups.count; ++group) {
      const int64_t tiles = groups.SizeOf(group);
      products.codes = codes_ + group * layout_.code_planes * layout_.plane_bytes;
      products.sums_plane = output.sums_plane = SumsPlane(tiles, blocks);
      Multiply(products, blocks, tiles);
      products.ahead += form_.all_positions() * products.ahead_lines * kCacheLine;
      output.tiles = tiles;
      output.at = outputs_at_ + tile * kWinogradPixels;
      output.residual_at = call_.residual == nullptr ? nullptr : residuals_at_ + tile * kWinogradPixels;
      (layout_.by_rows ? tier_.transform_rows : tier_.transform_output[blocks - 1])(output);
      tile += tiles;
    }
  }

  void MultiplyRows(WinogradProducts products, int64_t tiles) const {
    const uint8_t* codes = products.codes;
    for (int row = 0; row < form_.positions; ++row) {
      products.position_begin = row * form_.positions;
      products.position_end = products.position_begin + form_.positions;
      for (int64_t tile = 0; tile < tiles; tile += kWinogradRowTiles) {
        products.codes = codes + tile * layout_.tile_bytes;
        products.sums = sums_ + 2 * row * products.sums_plane + tile * kWinogradBlocks * tier_.lanes;
        tier_.multiply_row[std::min<int64_t>(kWinogradRowTiles, tiles - tile) - 1](products);
        products.ahead += products.ahead_lines * kCacheLine;
      }
    }
  }

  void Multiply(WinogradProducts products, int64_t blocks, int64_t tiles) const {
    products.position_end = form_.all_positions();
    products.sums = sums_;
    if (layout_.by_rows) return MultiplyRows(products, tiles);
    if (!layout_.one_group) return tier_.multiply[blocks - 1][tiles - 1](products);
    const uint8_t* codes = products.codes;
    for (int position = 0; position < form_.all_positions(); ++position) {
      int64_t tile = order_.Begin(form_, position);
      const int64_t count = order_.End(form_, position) - tile;
      if (count <= 0) continue;
      products.position_begin = position;
      products.position_end = position + 1;
      const WinogradGroups parts(count, tier_.max_tiles[blocks - 1]);
      for (int64_t part = 0; part < parts.count; ++part) {
        products.codes = codes + tile * layout_.tile_bytes;
        products.sums = sums_ + position * products.sums_plane + tile * blocks * tier_.lanes;
        tier_.multiply[blocks - 1][parts.SizeOf(part) - 1](products);
        products.ahead += (part == 0 ? products.ahead_lines : 0) * kCacheLine;
        tile += parts.SizeOf(part);
      }
    }
  }

  const WinogradTier& tier_;
  const WinogradForm& form_;
  const ConvShape& shape_;
  const ConvCall& call_;
  WinogradLayout layout_;
  const WinogradTileOrder order_;
  PixelTable table_;
  const PaddedTransform transform_;
  PackedView packed_ = {};
  int64_t opened_block_ = -1;
  uint8_t* codes_;  // [group of tiles][plane][tile][channel], planes plane_bytes apart
  int8_t* panel_;
  int32_t* sums_;
  int32_t* start_;  // [pixel][lanes], then a row of zeros
  uint8_t** tiles_at_;
  uint8_t* row_at_[kWinogradOneGroupTiles];
  std::byte** outputs_at_;
  const uint8_t** residuals_at_;
  std::byte* nowhere_;  // for the pixels of tiles that reach over the edge
};

size_t ScratchBytes(const WinogradTier& tier, const ConvShape& shape, int64_t images) {
  Scratch scratch(nullptr);
  ConvCall no_call = {};
  no_call.images = images;
  const Runner runner(tier, shape, no_call, scratch);
  return scratch.bytes();
}

}  // namespace

size_t WinogradScratchBytes(const WinogradTier& tier, const ConvShape& shape) { return ScratchBytes(tier, shape, 1); }

size_t WinogradBatchScratchBytes(const WinogradTier& tier, const ConvShape& shape) {
  return ScratchBytes(tier, shape, INT64_MAX);
}

void WinogradRun(const WinogradTier& tier, const ConvShape& shape, const ConvCall& call) {
  Scratch scratch(call.scratch);
  Runner(tier, shape, call, scratch).Run();
}

}  // namespace bitstage::kernels
