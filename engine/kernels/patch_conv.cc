#include "engine/kernels/patch_conv.h"

#include <algorithm>
#include <cstring>

#include "engine/base/checked_math.h"
#include "engine/kernels/padded_row.h"
#include "engine/kernels/patch_layout.h"
#include "engine/kernels/prefetch.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kOverread = 64;  // as params.h allows
// Of one call of PatchTier::runs, where a pixel takes few steps and where it takes many.
constexpr int64_t kShortRunPixels = 48;
constexpr int64_t kRunPixels = 252;
constexpr int64_t kManySteps = 16;
constexpr int64_t kAheadSteps = 64;  // from which on a line a step brings all that is wanted
// Up to which a panel stays in the L1 cache under tiles as small as those, which read it the more often.
constexpr int64_t kRunPanelBytes = 16 << 10;
constexpr int64_t kMaxTilePixels = 16;
// By so much tiles that overlap in time may compute more that nobody wants.
constexpr double kMinPipelinedUse = 0.95;

class Runner {
 public:
  Runner(const PatchTier& tier, const ConvShape& shape, const ConvCall& call, Scratch& scratch)
      : tier_(tier), shape_(shape), call_(call), layout_(tier, shape) {
    const int64_t lanes = layout_.blocks * tier.lanes;
    transform_ = PadTransform(call.transform, shape.out_channels, DivideRoundUp(lanes, kOverread) * kOverread, scratch);
    acc_init_ = scratch.Take<int32_t>(lanes);
    panel_ = scratch.Take<int8_t>(std::min<int64_t>(layout_.blocks, kPatchBlocks) * layout_.block_bytes);
    if (layout_.source == PatchSource::kRows) {
      const int64_t rows = shape.RowsUnder(layout_.band_rows);
      const int64_t slack = kMaxTilePixels * layout_.pixel_bytes + kOverread;
      patches_ = scratch.Take<uint8_t>(rows * layout_.width * shape.in_channels + slack);
      rest_bytes_ = shape.out_width * layout_.pixel_bytes + slack;
      rests_ = scratch.Take<uint8_t>(layout_.rest_segments * rest_bytes_);
      rows_ = scratch.Take<const uint8_t*>(shape.kernel_height);
    } else {
      patches_ = scratch.Take<uint8_t>(
          (std::min(layout_.chunk_pixels, shape.out_height * shape.out_width) + kMaxTilePixels) * layout_.patch_bytes +
          kOverread);
      padding_ = scratch.Take<uint8_t>(shape.in_width * shape.in_channels + kOverread);
      rows_ = scratch.Take<const uint8_t*>(shape.kernel_height);
    }
  }

  void Run() {
    pipelined_ =
        layout_.segments == 1 && !transform_.to_float && (transform_.within_int32 || transform_.words != nullptr);
    packed_ = ViewPackedWeights(layout_.packed, call_.packed_weights);
    const int64_t lanes = layout_.blocks * tier_.lanes;
    std::fill(std::copy_n(call_.acc_init, shape_.out_channels, acc_init_), acc_init_ + lanes, 0);
    if (layout_.source == PatchSource::kRows) return RunRows();
    const int64_t end = call_.row_end * shape_.out_width;
    if (layout_.source == PatchSource::kCopied) {
      std::memset(padding_, call_.zero_point, static_cast<size_t>(shape_.in_width * shape_.in_channels + kOverread));
    }
    const int64_t pixels = end - call_.row_begin * shape_.out_width;
    if (pixels == 0) return;
    // Equal ones: a short last one would cost all weights for little.
    const int64_t equal = DivideRoundUp(pixels, DivideRoundUp(pixels, layout_.chunk_pixels));
    const int64_t chunk = std::min(layout_.chunk_pixels, RoundUp(equal, layout_.tile_pixels));
    for (int64_t begin = call_.row_begin * shape_.out_width; begin < end; begin += chunk) {
      const int64_t count = std::min(chunk, end - begin);
      last_chunk_ = begin + count == end;
      if (layout_.source == PatchSource::kInPlace && count >= kMaxTilePixels) {
        const uint8_t* first = call_.input + begin * call_.input_pixel_stride;
        RunPixels(begin, count, first, call_.input_pixel_stride, 0);
        continue;
      }
      CopyPatches(begin, count);
      RunPixels(begin, count, patches_, layout_.patch_bytes, 0);
    }
  }

 private:
  void RunRows() {
    const int64_t row_bytes = layout_.width * shape_.in_channels;
    for (int64_t y = call_.row_begin; y < call_.row_end; y += layout_.band_rows) {
      const int64_t rows = std::min(layout_.band_rows, call_.row_end - y);
      last_chunk_ = y + rows == call_.row_end;
      const int64_t in_rows = shape_.RowsUnder(rows);
      for (int64_t row = 0; row < in_rows; ++row) {
        CopyPaddedRow(shape_, call_, y * shape_.stride_height - shape_.pad_top + row, layout_.width,
                      patches_ + row * row_bytes);
      }
      for (int64_t block = 0; block < layout_.blocks; block += kPatchBlocks) {
        LookAhead(block, rows * shape_.out_width);
        for (int64_t row = 0; row < rows; ++row) {
          const uint8_t* patch = patches_ + row * shape_.stride_height * row_bytes;
          CopyRests(patch, shape_.dilation_height * row_bytes);
          RunBlock(block, (y + row) * shape_.out_width, shape_.out_width, patch, layout_.pixel_bytes,
                   shape_.dilation_height * row_bytes);
        }
      }
    }
  }

  // Of a row of outputs whose first patch begins at `patch`.
  void CopyRests(const uint8_t* patch, int64_t row_bytes) {
    if (layout_.rest_segments == 0) return;
    for (int64_t ky = 0; ky < shape_.kernel_height; ++ky) rows_[ky] = patch + ky * row_bytes + layout_.steps * 4;
    tier_.copy_rests({rows_, shape_.kernel_height, layout_.row_bytes % 4, layout_.pixel_bytes, rests_, rest_bytes_,
                      shape_.out_width});
  }

  // The patches of output pixels [begin, begin + count), counted row-major.
  void CopyPatches(int64_t begin, int64_t count) {
    uint8_t* to = patches_;
    while (count > 0) {
      const int64_t y = begin / shape_.out_width;
      const int64_t x = begin % shape_.out_width;
      const int64_t pixels = std::min(count, shape_.out_width - x);
      for (int64_t ky = 0; ky < shape_.kernel_height; ++ky) {
        const int64_t in_y = y * shape_.stride_height + ky * shape_.dilation_height - shape_.pad_top;
        const bool inside = in_y >= 0 && in_y < shape_.in_height;
        rows_[ky] = inside ? call_.input + in_y * shape_.in_width * call_.input_pixel_stride : nullptr;
      }
      CopyRow(x, x + pixels, to);
      to += pixels * layout_.patch_bytes;
      begin += pixels;
      count -= pixels;
    }
  }

  // Of output columns [x, end) over the input rows rows_.
  void CopyRow(int64_t x, int64_t end, uint8_t* to) {
    const bool gapless = shape_.dilation_width == 1 &&
                         (shape_.kernel_width == 1 || call_.input_pixel_stride == shape_.in_channels) &&
                         std::find(rows_, rows_ + shape_.kernel_height, nullptr) == rows_ + shape_.kernel_height;
    while (x < end) {
      const int64_t in_x = x * shape_.stride_width - shape_.pad_left;
      // Columns from x on whose patches lie inside the image.
      const int64_t room = shape_.in_width - shape_.kernel_width - in_x;
      const int64_t inside = gapless && in_x >= 0 && room >= 0 ? std::min(end - x, room / shape_.stride_width + 1) : 0;
      if (inside > 0) {
        for (int64_t ky = 0; ky < shape_.kernel_height; ++ky) rows_[ky] += in_x * call_.input_pixel_stride;
        tier_.copy({rows_, shape_.kernel_height, layout_.row_bytes, shape_.stride_width * call_.input_pixel_stride, to,
                    layout_.patch_bytes, inside});
        for (int64_t ky = 0; ky < shape_.kernel_height; ++ky) rows_[ky] -= in_x * call_.input_pixel_stride;
        x += inside;
        to += inside * layout_.patch_bytes;
      } else {
        CopyPixelByPixel(in_x, to);
        ++x;
        to += layout_.patch_bytes;
      }
    }
  }

  void CopyPixelByPixel(int64_t in_x, uint8_t* to) const {
    const auto channels = static_cast<size_t>(shape_.in_channels);
    for (int64_t ky = 0; ky < shape_.kernel_height; ++ky) {
      for (int64_t kx = 0; kx < shape_.kernel_width; ++kx, to += channels) {
        const int64_t at = in_x + kx * shape_.dilation_width;
        const bool inside = rows_[ky] != nullptr && at >= 0 && at < shape_.in_width;
        std::memcpy(to, inside ? rows_[ky] + at * call_.input_pixel_stride : padding_, channels);
      }
    }
  }

  void RunPixels(int64_t first_pixel, int64_t count, const uint8_t* patch, int64_t pixel_bytes, int64_t segment_bytes) {
    for (int64_t block = 0; block < layout_.blocks; block += kPatchBlocks) {
      LookAhead(block, count);
      RunBlock(block, first_pixel, count, patch, pixel_bytes, segment_bytes);
    }
  }

  // While the blocks from `block` on meet `pixels` pixels, the packed weights of the next ones come near.
  void LookAhead(int64_t block, int64_t pixels) {
    const int64_t next = block + kPatchBlocks < layout_.blocks ? block + kPatchBlocks : 0;
    Ahead ahead = call_.ahead;
    if (next != 0 || !last_chunk_) {
      const int64_t block_bytes = layout_.packed.sections * packed_.section_chunks * layout_.packed.vector_bytes;
      ahead.at = reinterpret_cast<const std::byte*>(packed_.chunks) + next * block_bytes;
      ahead.bytes = std::min<int64_t>(kPatchBlocks, layout_.blocks - next) * block_bytes;
    }
    ahead_ = Prefetch(ahead, DivideRoundUp(pixels, kMaxTilePixels));
  }

  // The weights of some blocks as int8; the last ones opened are kept.
  const int8_t* WeightsOf(int64_t block, int64_t blocks) {
    if (packed_.width == 8) return reinterpret_cast<const int8_t*>(packed_.chunks) + block * layout_.block_bytes;
    if (opened_block_ != block) tier_.open({packed_, layout_.packed, block, blocks, panel_});
    opened_block_ = block;
    return panel_;
  }

  // `count` output pixels from `first_pixel` on, whose patches begin at `patch`.
  void RunBlock(int64_t block, int64_t first_pixel, int64_t count, const uint8_t* patch, int64_t pixel_bytes,
                int64_t segment_bytes) {
    const int64_t blocks = std::min<int64_t>(kPatchBlocks, layout_.blocks - block);
    const PatchTier::Tile& kernel = tier_.tiles[layout_.tile_size][blocks - 1];
    const int64_t channel = block * tier_.lanes;
    PatchTile tile;
    tile.pixel_bytes = pixel_bytes;
    tile.segments = layout_.segments;
    tile.segment_bytes = segment_bytes;
    tile.steps = layout_.steps;
    tile.rest_segments = layout_.rest_segments;
    tile.rest_bytes = rest_bytes_;
    tile.weights = WeightsOf(block, blocks);
    tile.block_bytes = layout_.block_bytes;
    tile.acc_init = acc_init_ + channel;
    tile.transform = From(transform_, channel);
    tile.channels = std::min(blocks * tier_.lanes, shape_.out_channels - channel);
    tile.residual_pixel_stride = call_.residual_pixel_stride;
    tile.output_pixel_stride = call_.output_pixel_stride;
    const PatchTier::Tile& runs = tier_.runs[blocks - 1];
    if (pipelined_ && blocks * layout_.block_bytes <= kRunPanelBytes && count >= runs.pixels &&
        PatchUse(count, runs.pixels) >= kMinPipelinedUse * PatchUse(count, kernel.pixels)) {
      const int64_t most = layout_.steps >= kManySteps ? kRunPixels : kShortRunPixels;
      const int64_t whole = most / runs.pixels * runs.pixels;
      for (int64_t pixel = 0; pixel < count; pixel += tile.pixels) {
        // Whole tiles at a time, and no short rest.
        tile.pixels = count - pixel < 2 * whole ? count - pixel : whole;
        for (int64_t i = 0; i < tile.pixels; i += kMaxTilePixels) ahead_.Piece();
        PlaceTile(first_pixel + pixel, channel, tile);
        tile.patch = patch + pixel * pixel_bytes;
        runs.run(tile);
      }
      return;
    }
    for (int64_t pixel = 0; pixel < count;) {
      int64_t pixels = std::min(kernel.pixels, count - pixel);
      const bool single = pixels == 1;
      if (!single && pixels < kernel.pixels && count >= kernel.pixels) {
        // The last tile begins earlier and computes some pixels once more, so that it reads no patch past the last.
        pixel = count - kernel.pixels;
        pixels = kernel.pixels;
      }
      if (kernel.ahead && layout_.vectors >= kAheadSteps) {
        tile.ahead = ahead_.Take(layout_.vectors);
      } else {
        ahead_.Piece();
      }
      PlaceTile(first_pixel + pixel, channel, tile);
      tile.patch = patch + pixel * pixel_bytes;
      if (layout_.rest_segments > 0) tile.rests = rests_ + pixel * pixel_bytes;
      tile.pixels = pixels;
      (single ? tier_.single[blocks - 1] : kernel.run)(tile);
      pixel += pixels;
    }
  }

  void PlaceTile(int64_t pixel, int64_t channel, PatchTile& tile) const {
    const int64_t element = call_.transform.to_float ? static_cast<int64_t>(sizeof(float)) : 1;
    tile.residual =
        call_.residual == nullptr ? nullptr : call_.residual + pixel * call_.residual_pixel_stride + channel;
    tile.output = static_cast<std::byte*>(call_.output) + (pixel * call_.output_pixel_stride + channel) * element;
  }

  const PatchTier& tier_;
  const ConvShape& shape_;
  const ConvCall& call_;
  const PatchLayout layout_;
  PaddedTransform transform_;
  bool pipelined_ = false;
  PackedView packed_ = {};
  int64_t opened_block_ = -1;
  bool last_chunk_ = false;
  Prefetch ahead_ = {{}, 1};
  int32_t* acc_init_;
  int8_t* panel_;
  uint8_t* patches_;
  uint8_t* rests_ = nullptr;  // of a row of outputs: PatchTile::rests
  int64_t rest_bytes_ = 0;
  uint8_t* padding_ = nullptr;      // pixels of zero points
  const uint8_t** rows_ = nullptr;  // the input rows under a row of outputs; null for those outside; or their rests
};

}  // namespace

size_t PatchScratchBytes(const PatchTier& tier, const ConvShape& shape) {
  Scratch scratch(nullptr);
  const ConvCall no_call = {};
  const Runner runner(tier, shape, no_call, scratch);
  return scratch.bytes();
}

void PatchRun(const PatchTier& tier, const ConvShape& shape, const ConvCall& call) {
  Scratch scratch(call.scratch);
  Runner(tier, shape, call, scratch).Run();
}

}  // namespace bitstage::kernels
