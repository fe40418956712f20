#include "engine/kernels/depthwise_columns.h"

#include <algorithm>
#include <cstring>

#include "engine/base/checked_math.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kRows = 4;               // that one dword holds
constexpr int64_t kOverread = 64;          // as params.h allows
constexpr int64_t kStripBytes = 24 << 10;  // columns that lie ready in the L1 cache

struct Layout {
  Layout(const ColumnTier& tier, const ConvShape& shape)
      : pair(shape.dilation_height == 1 && shape.kernel_height + shape.stride_height <= kRows ? 2 : 1),
        groups(DivideRoundUp(shape.kernel_height, kRows)),
        blocks(DivideRoundUp(shape.in_channels, tier.block)),
        column_bytes(groups * kRows * tier.block),
        row_weights(shape.kernel_width * column_bytes) {
    const int64_t reach = (shape.kernel_width - 1) * shape.dilation_width;
    const int64_t fit = (kStripBytes / column_bytes - reach - 1) / shape.stride_width + 1;
    strip = std::clamp<int64_t>(fit, 4, std::max<int64_t>(4, shape.out_width));
    strip_columns = (strip - 1) * shape.stride_width + reach + 1;
  }

  int64_t pair;  // output rows computed together
  int64_t groups;
  int64_t blocks;
  int64_t column_bytes;
  int64_t row_weights;  // bytes of weights of one block and one output row
  int64_t strip;        // outputs of a row whose columns are interleaved at a time
  int64_t strip_columns;
};

class Runner {
 public:
  Runner(const ColumnTier& tier, const ConvShape& shape, const ConvCall& call, Scratch& scratch)
      : tier_(tier), shape_(shape), call_(call), layout_(tier, shape) {
    const int64_t lanes = layout_.blocks * tier.block;
    transform_ = PadTransform(call.transform, shape.out_channels, DivideRoundUp(lanes, kOverread) * kOverread, scratch);
    in_order_ = scratch.Take<int32_t>(lanes);
    acc_init_ = scratch.Take<int32_t>(lanes);
    shift_ = scratch.Take<int32_t>(lanes);
    rows_ = scratch.Take<const uint8_t*>(layout_.groups * kRows);
    row_pixel_bytes_ = scratch.Take<int64_t>(layout_.groups * kRows);
    padding_ = scratch.Take<uint8_t>(tier.block);
    // Computed in whole steps: a few columns past the last are read.
    columns_ = scratch.Take<uint8_t>((layout_.strip_columns + 4 * shape.stride_width) * layout_.column_bytes);
  }

  void Run() {
    std::memset(padding_, call_.zero_point, static_cast<size_t>(tier_.block));
    const int64_t lanes = layout_.blocks * tier_.block;
    std::fill(std::copy_n(call_.acc_init, shape_.out_channels, in_order_), in_order_ + lanes, 0);
    for (int64_t c = 0; c < lanes; c += tier_.block) {
      tier_.order(in_order_ + c, acc_init_ + c);
      if (transform_.shift != nullptr) tier_.order(transform_.shift + c, shift_ + c);
    }
    for (int64_t y = call_.row_begin; y < call_.row_end; y += layout_.pair) {
      const int64_t rows = std::min(layout_.pair, call_.row_end - y);
      for (int64_t block = 0; block < layout_.blocks; ++block) {
        for (int64_t x = 0; x < shape_.out_width; x += layout_.strip) {
          const int64_t count = std::min(layout_.strip, shape_.out_width - x);
          CopyColumns(y, x, count, block);
          for (int64_t row = 0; row < rows; ++row) RunRow(y, row, x, count, block);
        }
      }
    }
  }

 private:
  // The columns under `count` outputs from output (y, x) on.
  void CopyColumns(int64_t y, int64_t x, int64_t count, int64_t block) {
    const int64_t columns = (count - 1) * shape_.stride_width + (shape_.kernel_width - 1) * shape_.dilation_width + 1;
    const int64_t in_x = x * shape_.stride_width - shape_.pad_left;
    const int64_t first = std::clamp<int64_t>(-in_x, 0, columns);
    const int64_t last = std::clamp<int64_t>(shape_.in_width - in_x, first, columns);
    CopyPadding(0, first);
    CopyPadding(last, columns - last);
    if (first == last) return;
    const int64_t reached = shape_.kernel_height + (layout_.pair - 1) * shape_.stride_height;
    for (int64_t row = 0; row < layout_.groups * kRows; ++row) {
      // Rows past those of all kernels meet weights of 0.
      const int64_t of = std::min(row, reached - 1);
      const int64_t in_y = y * shape_.stride_height - shape_.pad_top + of * shape_.dilation_height;
      const bool inside = in_y >= 0 && in_y < shape_.in_height;
      const int64_t pixel = in_y * shape_.in_width + in_x + first;
      rows_[row] = inside ? call_.input + pixel * call_.input_pixel_stride + block * tier_.block : padding_;
      row_pixel_bytes_[row] = inside ? call_.input_pixel_stride : 0;
    }
    tier_.copy({rows_, row_pixel_bytes_, layout_.groups, last - first, columns_ + first * layout_.column_bytes});
  }

  void CopyPadding(int64_t column, int64_t count) const {
    std::memset(columns_ + column * layout_.column_bytes, call_.zero_point,
                static_cast<size_t>(count * layout_.column_bytes));
  }

  void RunRow(int64_t y, int64_t row, int64_t x, int64_t count, int64_t block) const {
    const int64_t pixel = (y + row) * shape_.out_width + x;
    const int64_t channel = block * tier_.block;
    ColumnRow call;
    call.columns = columns_;
    call.column_bytes = layout_.column_bytes;
    call.groups = layout_.groups;
    call.kernel_width = shape_.kernel_width;
    call.stride = shape_.stride_width;
    call.dilation = shape_.dilation_width;
    call.weights =
        reinterpret_cast<const int8_t*>(call_.packed_weights) + (block * layout_.pair + row) * layout_.row_weights;
    call.acc_init = acc_init_ + channel;
    call.transform = From(transform_, channel);
    call.transform.shift = transform_.shift == nullptr ? nullptr : shift_ + channel;
    call.count = count;
    call.channels = std::min(tier_.block, shape_.out_channels - channel);
    call.residual =
        call_.residual == nullptr ? nullptr : call_.residual + pixel * call_.residual_pixel_stride + channel;
    call.residual_pixel_stride = call_.residual_pixel_stride;
    const int64_t element = call_.transform.to_float ? static_cast<int64_t>(sizeof(float)) : 1;
    call.output = static_cast<std::byte*>(call_.output) + (pixel * call_.output_pixel_stride + channel) * element;
    call.output_pixel_stride = call_.output_pixel_stride;
    tier_.run(call);
  }

  const ColumnTier& tier_;
  const ConvShape& shape_;
  const ConvCall& call_;
  const Layout layout_;
  PaddedTransform transform_;
  int32_t *in_order_, *acc_init_, *shift_;
  const uint8_t** rows_;
  int64_t* row_pixel_bytes_;
  uint8_t* padding_;
  uint8_t* columns_;
};

}  // namespace

bool ColumnSupports(const ConvShape& shape) { return shape.IsDepthwise(); }

double ColumnCycles(const ColumnTier& tier, const ConvShape& shape) {
  const Layout layout(tier, shape);
  const auto dots = static_cast<double>(shape.kernel_width * layout.groups);
  return static_cast<double>(shape.out_height * shape.out_width * layout.blocks) *
         (dots * tier.dot_cycles + tier.output_cycles);
}

size_t ColumnPackedBytes(const ColumnTier& tier, const ConvShape& shape) {
  const Layout layout(tier, shape);
  return static_cast<size_t>(layout.blocks * layout.pair * layout.row_weights);
}

void ColumnPack(const ColumnTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  const Layout layout(tier, shape);
  std::memset(packed, 0, ColumnPackedBytes(tier, shape));
  auto* bytes = reinterpret_cast<int8_t*>(packed);
  for (int64_t c = 0; c < shape.in_channels; ++c) {
    const int64_t dword = tier.position(c % tier.block);
    for (int64_t ky = 0; ky < shape.kernel_height; ++ky) {
      for (int64_t kx = 0; kx < shape.kernel_width; ++kx) {
        const int8_t weight = *weights++;
        for (int64_t row = 0; row < layout.pair; ++row) {
          const int64_t at = ky + row * shape.stride_height;
          bytes[(c / tier.block * layout.pair + row) * layout.row_weights + kx * layout.column_bytes +
                at / kRows * kRows * tier.block + dword * kRows + at % kRows] = weight;
        }
      }
    }
  }
}

size_t ColumnScratchBytes(const ColumnTier& tier, const ConvShape& shape) {
  Scratch scratch(nullptr);
  const ConvCall no_call = {};
  const Runner runner(tier, shape, no_call, scratch);
  return scratch.bytes();
}

void ColumnRun(const ColumnTier& tier, const ConvShape& shape, const ConvCall& call) {
  Scratch scratch(call.scratch);
  Runner(tier, shape, call, scratch).Run();
}

}  // namespace bitstage::kernels
