#include "engine/kernels/depthwise_columns.h"

#include <algorithm>
#include <cstring>

#include "engine/base/checked_math.h"
#include "engine/kernels/column_layout.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kOverread = 64;  // as params.h allows

class Runner {
 public:
  Runner(const ColumnTier& tier, const ConvShape& shape, const ConvCall& call, Scratch& scratch)
      : tier_(tier), shape_(shape), call_(call), layout_(tier, shape) {
    const int64_t lanes = layout_.blocks * tier.block;
    transform_ = PadTransform(call.transform, shape.out_channels, DivideRoundUp(lanes, kOverread) * kOverread, scratch);
    repeated_ = scratch.Take<Repeated>(1);
    calls_ = scratch.Take<ColumnRow>(layout_.blocks);
    in_order_ = scratch.Take<int32_t>(lanes);
    acc_init_ = scratch.Take<int32_t>(lanes);
    mult_ = scratch.Take<float>(lanes);
    add_ = scratch.Take<float>(lanes);
    words_ = scratch.Take<int32_t>(lanes);
    rows_ = scratch.Take<const uint8_t*>(layout_.groups * kColumnRows * kMaxColumnParts);
    row_pixel_bytes_ = scratch.Take<int64_t>(layout_.groups * kColumnRows);
    padding_ = scratch.Take<uint8_t>(tier.block);
    // Computed in whole steps: some columns past the last are read.
    columns_ = scratch.Take<uint8_t>(layout_.strip_columns * layout_.column_bytes);
    if (!layout_.window) return;
    constants_ = scratch.Take<ColumnConstants>(layout_.blocks);
    padding_row_ = scratch.Take<uint8_t>(shape.in_width * shape.in_channels + kOverread);
    edge_ = scratch.Take<uint8_t>(layout_.column_bytes);
    if (layout_.last_parts > 1) {
      edges_ = scratch.Take<uint8_t>(shape.ColumnsUnder(DivideRoundUp(shape.out_width, layout_.last_parts)) *
                                     layout_.column_bytes);
    }
  }

  void Run() {
    std::memset(padding_, call_.zero_point, static_cast<size_t>(tier_.block));
    windows_ = layout_.window && call_.residual == nullptr && !transform_.to_float &&
               (transform_.within_int32 || transform_.words != nullptr) &&
               call_.input_pixel_stride == shape_.in_channels;
    const int64_t lanes = layout_.blocks * tier_.block;
    std::fill(std::copy_n(call_.acc_init, shape_.out_channels, in_order_), in_order_ + lanes, 0);
    last_transform_ = From(transform_, (layout_.blocks - 1) * tier_.block);
    if (layout_.last_parts > 1) RepeatLast();
    for (int64_t block = 0; block < layout_.blocks; ++block) {
      const int64_t c = block * tier_.block;
      const PaddedTransform transform = TransformOf(block);
      tier_.order(in_order_ + c, acc_init_ + c);
      if (transform.words != nullptr) {
        tier_.order(transform.words, words_ + c);
      } else {
        tier_.order(transform.mult, mult_ + c);
        tier_.order(transform.add, add_ + c);
      }
      calls_[block] = CallOf(block, transform);
      if (windows_) FillConstants(block, transform);
    }
    if (windows_) {
      std::memset(padding_row_, call_.zero_point,
                  static_cast<size_t>(shape_.in_width * shape_.in_channels + kOverread));
      std::memset(edge_, call_.zero_point, static_cast<size_t>(layout_.column_bytes));
    }
    for (int64_t y = call_.row_begin; y < call_.row_end; y += layout_.pair) {
      const int64_t rows = std::min(layout_.pair, call_.row_end - y);
      for (int64_t block = 0; block < layout_.blocks; ++block) RunBlock(y, rows, block);
    }
  }

 private:
  // The channels of the last block, once a part. kMaxBlock bounds ColumnTier::block.
  static constexpr int64_t kMaxBlock = 64;
  struct Repeated {
    float mult[kMaxBlock], add[kMaxBlock], residual_mult[kMaxBlock], low[kMaxBlock], high[kMaxBlock];
    int32_t words[kMaxBlock];
    uint8_t low_codes[kMaxBlock], high_codes[kMaxBlock], word_masks[kMaxBlock];
    uint64_t doublings[kMaxShift];
  };

  void RepeatLast() {
    const int64_t channels = tier_.block / layout_.last_parts;
    const auto repeat = [&](auto*& from, auto* to) {
      if (from == nullptr) return;
      for (int64_t c = 0; c < tier_.block; ++c) to[c] = from[c % channels];
      from = to;
    };
    PaddedTransform& last = last_transform_;
    repeat(last.mult, repeated_->mult);
    repeat(last.add, repeated_->add);
    repeat(last.residual_mult, repeated_->residual_mult);
    repeat(last.low, repeated_->low);
    repeat(last.high, repeated_->high);
    repeat(last.low_codes, repeated_->low_codes);
    repeat(last.high_codes, repeated_->high_codes);
    repeat(last.words, repeated_->words);
    repeat(last.word_masks, repeated_->word_masks);
    for (int k = 0; k < last.doubling_count; ++k) {
      repeated_->doublings[k] = last.doublings[k];
      for (int64_t c = channels; c < tier_.block; c *= 2) repeated_->doublings[k] |= repeated_->doublings[k] << c;
    }
    last.doublings = repeated_->doublings;
    int32_t* init = in_order_ + (layout_.blocks - 1) * tier_.block;
    for (int64_t c = channels; c < tier_.block; ++c) init[c] = init[c % channels];
  }

  [[nodiscard]] PaddedTransform TransformOf(int64_t block) const {
    return block == layout_.blocks - 1 ? last_transform_ : From(transform_, block * tier_.block);
  }

  void FillConstants(int64_t block, const PaddedTransform& transform) {
    ColumnConstants& constants = constants_[block];
    const int64_t c = block * tier_.block;
    std::copy_n(acc_init_ + c, tier_.block, constants.acc_init);
    std::copy_n(transform.high_codes, tier_.block, constants.high_codes);
    if (transform.words != nullptr) {
      std::copy_n(words_ + c, tier_.block, constants.words);
      std::copy_n(transform.word_masks, tier_.block, constants.word_masks);
      return;
    }
    std::copy_n(mult_ + c, tier_.block, constants.mult);
    std::copy_n(add_ + c, tier_.block, constants.add);
    std::copy_n(transform.low_codes, tier_.block, constants.low_codes);
  }

  void RunBlock(int64_t y, int64_t rows, int64_t block) {
    const int64_t parts = layout_.parts(block);
    const int64_t width = DivideRoundUp(shape_.out_width, parts);
    // The last parts end with the row, and may repeat some outputs.
    for (int64_t part = 0; part < parts; ++part) {
      part_pixels_[part] = std::min(part * width, shape_.out_width - width);
    }
    if (windows_ && (parts == 1 || shape_.stride_width == 2)) return RunWindow(y, rows, width, block);
    for (int64_t x = 0; x < width; x += layout_.strip) {
      const int64_t count = std::min(layout_.strip, width - x);
      CopyColumns(y, x, count, block, parts);
      for (int64_t row = 0; row < rows; ++row) RunRow(y, row, x, count, block);
    }
  }

  // The columns under some outputs of every part.
  struct Columns {
    int64_t in_x[kMaxColumnParts];  // each part's first
    int64_t count;
    int64_t first, last;  // those that lie inside the image in every part
  };

  [[nodiscard]] Columns ColumnsUnder(int64_t x, int64_t count, int64_t parts) const {
    Columns columns = {};
    columns.count = shape_.ColumnsUnder(count);
    columns.last = columns.count;
    for (int64_t part = 0; part < parts; ++part) {
      columns.in_x[part] = (part_pixels_[part] + x) * shape_.stride_width - shape_.pad_left;
      columns.first = std::max(columns.first, -columns.in_x[part]);
      columns.last = std::min(columns.last, shape_.in_width - columns.in_x[part]);
    }
    columns.first = std::min(columns.first, columns.count);
    columns.last = std::max(columns.last, columns.first);
    return columns;
  }

  // The columns under `count` outputs of every part, from output (y, x) on.
  void CopyColumns(int64_t y, int64_t x, int64_t count, int64_t block, int64_t parts) {
    const Columns columns = ColumnsUnder(x, count, parts);
    CopyEdge(y, columns.in_x, 0, columns.first, block, parts);
    if (columns.first < columns.last) {
      CopyRun(y, columns.in_x, columns.first, columns.last - columns.first, block, parts);
    }
    CopyEdge(y, columns.in_x, columns.last, columns.count - columns.last, block, parts);
  }

  // Columns that lie outside the image, in some part at least.
  void CopyEdge(int64_t y, const int64_t* in_x, int64_t column, int64_t count, int64_t block, int64_t parts) {
    if (parts == 1) {
      std::memset(columns_ + column * layout_.column_bytes, call_.zero_point,
                  static_cast<size_t>(count * layout_.column_bytes));
      return;
    }
    for (int64_t i = 0; i < count; ++i) CopyRun(y, in_x, column + i, 1, block, parts);
  }

  // `count` columns from `column` on, each part's inside the image, or all outside.
  void CopyRun(int64_t y, const int64_t* in_x, int64_t column, int64_t count, int64_t block, int64_t parts) {
    PointTo(y, in_x, column, block, parts, padding_);
    tier_.copy({rows_, row_pixel_bytes_, layout_.groups, parts, count, columns_ + column * layout_.column_bytes});
  }

  // rows_ and row_pixel_bytes_, to a column of every part, or to `padding`.
  void PointTo(int64_t y, const int64_t* in_x, int64_t column, int64_t block, int64_t parts, const uint8_t* padding) {
    const int64_t reached = shape_.kernel_height + (layout_.pair - 1) * shape_.stride_height;
    const int64_t rows = layout_.groups * kColumnRows;
    for (int64_t row = 0; row < rows; ++row) {
      // Rows past those of all kernels meet weights of 0.
      const int64_t of = std::min(row, reached - 1);
      const int64_t in_y = y * shape_.stride_height - shape_.pad_top + of * shape_.dilation_height;
      const bool row_inside = in_y >= 0 && in_y < shape_.in_height;
      row_pixel_bytes_[row] = row_inside ? call_.input_pixel_stride : 0;
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t at = in_x[part] + column;
        const bool inside = row_inside && at >= 0 && at < shape_.in_width;
        const int64_t pixel = in_y * shape_.in_width + at;
        rows_[part * rows + row] =
            inside ? call_.input + pixel * call_.input_pixel_stride + block * tier_.block : padding;
      }
    }
  }

  // Columns [begin, end), row by row, which lie outside the image in some part.
  void CopyEdges(int64_t y, const Columns& columns, int64_t begin, int64_t end, int64_t block, int64_t parts,
                 uint8_t* to) {
    const int64_t part_bytes = tier_.block / parts;
    for (int64_t column = begin; column < end; ++column) {
      PointTo(y, columns.in_x, column, block, parts, padding_);
      for (int64_t row = 0; row < kColumnRows; ++row) {
        for (int64_t part = 0; part < parts; ++part, to += part_bytes) {
          std::memcpy(to, rows_[part * kColumnRows + row], static_cast<size_t>(part_bytes));
        }
      }
    }
  }

  // One row of outputs of `width` in every part, or a pair.
  void RunWindow(int64_t y, int64_t rows, int64_t width, int64_t block) {
    const int64_t parts = layout_.parts(block);
    const Columns columns = ColumnsUnder(0, width, parts);
    if (parts > 1) {
      CopyEdges(y, columns, 0, columns.first, block, parts, edges_);
      CopyEdges(y, columns, columns.last, columns.count, block, parts, edges_ + columns.first * layout_.column_bytes);
    }
    PointTo(y, columns.in_x, columns.first, block, parts, padding_row_);
    ColumnRow& row = PlaceRow(y, 0, 0, width, block);
    tier_.window({.rows = rows_,
                  .column_bytes = call_.input_pixel_stride,
                  .first = columns.first,
                  .last = columns.last,
                  .edges = parts == 1 ? edge_ : edges_,
                  .edge_bytes = parts == 1 ? 0 : layout_.column_bytes,
                  .row = &row,
                  .constants = constants_ + block,
                  .output_rows = rows,
                  .output_row_elements = shape_.out_width * call_.output_pixel_stride});
  }

  // What the rows of a block have in common.
  [[nodiscard]] ColumnRow CallOf(int64_t block, const PaddedTransform& transform) const {
    const int64_t channel = block * tier_.block;
    return {.columns = columns_,
            .column_bytes = layout_.column_bytes,
            .groups = layout_.groups,
            .kernel_width = shape_.kernel_width,
            .stride = shape_.stride_width,
            .dilation = shape_.dilation_width,
            .acc_init = acc_init_ + channel,
            .mult = mult_ + channel,
            .add = add_ + channel,
            .words = transform.words == nullptr ? nullptr : words_ + channel,
            .transform = transform,
            .parts = layout_.parts(block),
            .part_pixels = part_pixels_,
            .channels = std::min(tier_.block, shape_.out_channels - channel),
            .residual_pixel_stride = call_.residual_pixel_stride,
            .output_pixel_stride = call_.output_pixel_stride};
  }

  void RunRow(int64_t y, int64_t row, int64_t x, int64_t count, int64_t block) {
    tier_.run(PlaceRow(y, row, x, count, block));
  }

  ColumnRow& PlaceRow(int64_t y, int64_t row, int64_t x, int64_t count, int64_t block) {
    const int64_t pixel = (y + row) * shape_.out_width + x;
    const int64_t channel = block * tier_.block;
    ColumnRow& call = calls_[block];
    call.weights =
        reinterpret_cast<const int8_t*>(call_.packed_weights) + (block * layout_.pair + row) * layout_.row_weights;
    call.count = count;
    call.residual =
        call_.residual == nullptr ? nullptr : call_.residual + pixel * call_.residual_pixel_stride + channel;
    const int64_t element = call_.transform.to_float ? static_cast<int64_t>(sizeof(float)) : 1;
    call.output = static_cast<std::byte*>(call_.output) + (pixel * call_.output_pixel_stride + channel) * element;
    return call;
  }

  const ColumnTier& tier_;
  const ConvShape& shape_;
  const ConvCall& call_;
  const ColumnLayout layout_;
  PaddedTransform transform_;
  PaddedTransform last_transform_ = {};  // of the last block
  Repeated* repeated_;
  ColumnRow* calls_;  // a block
  int32_t *in_order_, *acc_init_;
  float *mult_, *add_;
  int32_t* words_;
  const uint8_t** rows_;
  int64_t* row_pixel_bytes_;
  uint8_t* padding_;
  uint8_t* columns_;
  // Where layout_.window:
  ColumnConstants* constants_ = nullptr;  // a block
  uint8_t* padding_row_ = nullptr;        // as long as a row of the image
  uint8_t* edge_ = nullptr;               // a column of zero points
  uint8_t* edges_ = nullptr;              // columns that lie outside the image in some of several parts
  bool windows_ = false;
  int64_t part_pixels_[kMaxColumnParts] = {};
};

}  // namespace

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
