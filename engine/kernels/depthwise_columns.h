// DepthwiseColumns: what tiers share of a depthwise convolution that multiplies columns. Under a row of outputs (or
// two, where four input rows hold both) the input's rows are interleaved by fours: the codes that one channel has in
// four rows of a column become one dword, which meets the four weights of a column of the kernel in one dot product. A
// column is interleaved once and used by every output that reaches it.
//
// A column is `groups` groups of four rows, a group `registers` registers for `block` channels; which channel lies in
// which dword is the tier's affair (Position). Where the last block has at most a half or a quarter of the channels, it
// holds two or four parts of the row side by side: the block's registers are as full as those of the others. Weights
// are packed
//     [block of channels][output row of the pair][kernel column][group][register][dword][4]     int8
// where the second output row has the same weights, moved down by the stride.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/kernels/padded_transform.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

inline constexpr int kMaxColumnParts = 4;

// Interleaves `count` neighbouring columns of one block of channels. Reads block / parts bytes of every pixel.
struct ColumnCopy {
  const uint8_t* const* rows;  // [parts][groups · 4] pointers to the first column
  const int64_t* pixel_bytes;  // of each of the groups · 4 rows, from one column to the next
  int64_t groups;
  int64_t parts;  // 1, 2 or 4
  int64_t count;
  uint8_t* to;
};

// Some neighbouring outputs of one row and one block of channels, in each part.
struct ColumnRow {
  const uint8_t* columns;  // of the first output
  int64_t column_bytes;
  int64_t groups;
  int64_t kernel_width;
  int64_t stride;    // in columns
  int64_t dilation;  // in columns
  const int8_t* weights = nullptr;
  const int32_t* acc_init;    // `block`, in the order of dwords
  const float* mult;          // likewise
  const float* add;           // likewise
  const int32_t* words;       // likewise, or null
  PaddedTransform transform;  // from the block's first channel on, the channels repeated in every part
  int64_t parts;
  const int64_t* part_pixels;  // from the row's first pixel to each part's first output
  int64_t count = 0;
  int64_t channels;  // to write
  const uint8_t* residual = nullptr;
  int64_t residual_pixel_stride;
  void* output = nullptr;
  int64_t output_pixel_stride;
};

// What a block of channels has of its own, at known distances; 64 is the most that ColumnTier::block may be.
struct ColumnConstants {
  int32_t acc_init[64];  // as of ColumnRow
  float mult[64], add[64];
  int32_t words[64];  // where the transform has them, and then of the floats none
  uint8_t low_codes[64], high_codes[64], word_masks[64];
};

// A whole row of outputs, or a pair of rows, of a kernel 3 wide without dilation whose rows fit one group: columns are
// interleaved in registers, one after the other, and never stored. To codes that stay within int32 or by words, without
// residual; in one part at stride 1, in one or two at stride 2.
struct ColumnWindow {
  const uint8_t* const* rows;  // [parts][4] pointers to the first column inside, as of ColumnCopy
  int64_t column_bytes;        // from one column to the next
  int64_t first, last;         // the columns that lie inside the image in every part
  const uint8_t* edges;        // the others' codes, [column][4][block]
  int64_t edge_bytes;          // from one of them to the next; 0: all alike
  const ColumnRow* row;        // the first row of outputs
  const ColumnConstants* constants;
  int64_t output_rows;  // to write, of the pair
  int64_t output_row_elements;
};

struct ColumnTier {
  int64_t block;    // channels, a multiple of 16
  int64_t outputs;  // of a row, computed at a time
  // The dword, counted over all registers of a block, of a channel of the block.
  int64_t (*position)(int64_t channel);
  void (*order)(const void* channels, void* dwords);  // of one block
  void (*copy)(const ColumnCopy& copy);
  void (*run)(const ColumnRow& row);
  void (*window)(const ColumnWindow& window);
  double dot_cycles;     // of one dot product of `block` channels
  double output_cycles;  // of everything else, an output pixel of `block` channels
};

bool ColumnSupports(const ConvShape& shape);
double ColumnCycles(const ColumnTier& tier, const ConvShape& shape);
size_t ColumnPackedBytes(const ColumnTier& tier, const ConvShape& shape);
void ColumnPack(const ColumnTier& tier, const ConvShape& shape, const int8_t* weights, std::byte* packed);
void ColumnScale(const ColumnTier& tier, const ConvShape& shape, int factor, std::byte* packed);
size_t ColumnScratchBytes(const ColumnTier& tier, const ConvShape& shape);
void ColumnRun(const ColumnTier& tier, const ConvShape& shape, const ConvCall& call);

}  // namespace bitstage::kernels
