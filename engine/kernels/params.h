// Params: what a kernel needs, as plain structs. Everything here was validated before; kernels check nothing.
//
// Layout: activations are u8 codes H x W x C (channel innermost) of one image, `pixel_stride` bytes from one pixel to
// the next (>= C: a value may live inside a wider one, which is how concatenation costs nothing). Kernels may READ up
// to 64 bytes past the last pixel of an input and must never write past the channels they own.
//
// The arithmetic of every kernel is fixed by docs/integer-arithmetic.md, to the bit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bitstage::kernels {

struct ConvShape {
  int64_t in_height, in_width, in_channels;
  int64_t out_height, out_width, out_channels;
  int64_t groups;
  int64_t kernel_height, kernel_width;
  int64_t stride_height, stride_width;
  int64_t dilation_height, dilation_width;
  int64_t pad_top, pad_left;  // bottom and right follow from the output extent

  [[nodiscard]] int64_t group_in() const { return in_channels / groups; }
  [[nodiscard]] int64_t group_out() const { return out_channels / groups; }
  [[nodiscard]] int64_t macs() const {
    return out_height * out_width * out_channels * group_in() * kernel_height * kernel_width;
  }
  // Output pixels, for cost models of register tiles of several: a lone one takes as long as three, for its tile waits
  // for every weight.
  [[nodiscard]] int64_t tiled_pixels() const { return out_height * out_width == 1 ? 3 : out_height * out_width; }
  // Input rows (columns) from the first to the last that so many neighbouring output rows (columns) reach.
  [[nodiscard]] int64_t RowsUnder(int64_t out_rows) const {
    return (out_rows - 1) * stride_height + (kernel_height - 1) * dilation_height + 1;
  }
  [[nodiscard]] int64_t ColumnsUnder(int64_t out_columns) const {
    return (out_columns - 1) * stride_width + (kernel_width - 1) * dilation_width + 1;
  }
  [[nodiscard]] bool IsDepthwise() const { return groups == in_channels && groups == out_channels; }
};

inline constexpr int kMaxShift = 7;

// From an exact accumulator to the output (docs/integer-arithmetic.md §3). Arrays have one entry an output channel.
//   t = fma(float(acc), mult, add)
//   t = fma(float(residual), residual_mult, t)          where residual_mult is not null
//   t = min(max(t, low), high)
//   to codes: u = rint(t) << shift                      to float: t itself
struct OutputTransform {
  const float* mult;
  const float* add;
  const float* residual_mult;  // or null
  const float* low;
  const float* high;
  const uint8_t* shift;  // null: no shifts
  bool to_float;         // the output is float32, H x W x C, pixel_stride counted in floats

  // What is known beforehand, for kernels that turn whole registers into codes; a transform without it is as right.
  int64_t lanes = 0;                    // entries that all arrays can be read for, 0 past the channels; 0: unknown
  const uint8_t* low_codes = nullptr;   // rint(min(low, high)) << shift, or null
  const uint8_t* high_codes = nullptr;  // rint(high) << shift, or null
  bool within_int32 = false;            // no t << shift leaves the range of int32, whatever the codes
  // [lanes / 64][kMaxShift], or null where there are no shifts: bit c of entry k says that shift[c] > k, so that adding
  // a byte to itself where its bit is set, for every k < doubling_count, shifts it.
  const uint64_t* doublings = nullptr;
  int doubling_count = 0;  // the largest shift

  // Not null: accumulators are those of weights that ConvKernel::scale has multiplied, and become codes by these and
  // high_codes alone, in 16 bits (engine/kernels/words.h). `lanes` is known then, there is no residual, and what
  // is not said to be needed may be null.
  const int32_t* words = nullptr;       // Words::multiply
  const uint8_t* word_masks = nullptr;  // of the bits that codes may have
  int word_shift = 0;                   // Words::shift
};

// Memory that will soon be read: a kernel that has the time brings it into the L2 cache while it computes. Weights that
// a whole network has pushed out come from far, one cache line after the other.
struct Ahead {
  const std::byte* at;
  int64_t bytes;
};

struct ConvCall {
  const uint8_t* input;
  int64_t input_pixel_stride;
  uint8_t zero_point;               // code of the padding
  int max_code, max_weight;         // the bounds that ConvKernel::supports was asked about
  const std::byte* packed_weights;  // as this kernel's `pack` wrote them, 64-byte aligned
  const int32_t* acc_init;          // one an output channel
  OutputTransform transform;
  const uint8_t* residual;  // or null; the output's spatial shape
  int64_t residual_pixel_stride;
  void* output;
  int64_t output_pixel_stride;
  int64_t row_begin, row_end;  // the output rows to compute
  std::byte* scratch;          // `scratch_bytes` of this thread's own, 64-byte aligned
  Ahead ahead = {};            // what the next layer reads first

  // For kernels whose `panels` is not 0 alone: which of them to compute, of how many images that lie how far apart.
  int64_t panel_begin = 0, panel_end = INT32_MAX;
  int64_t images = 1;
  int64_t input_image_bytes = 0, residual_image_bytes = 0, output_image_bytes = 0;
};

// One way to compute a convolution (grouped, depthwise and fully connected layers too: the last is 1 x 1 on 1 x 1).
struct ConvKernel {
  const char* name;  // "vnni_direct", …
  // May this kernel compute such a layer? max_code and max_weight bound the input codes and |folded weights|.
  bool (*supports)(const ConvShape& shape, int max_code, int max_weight);
  // What `run` will take, in cycles of a core, for a layer that it supports: a model fitted to measurements, comparable
  // between the kernels of a tier and nothing else. KernelTable::ChooseConv takes the least.
  double (*cycles)(const ConvShape& shape, int max_code, int max_weight);
  // weights: folded, O x I/groups x KH x KW. What is packed may depend on their values (two bits where few values
  // occur) and tells `run` so itself.
  size_t (*packed_bytes)(const ConvShape& shape, const int8_t* weights);
  void (*pack)(const ConvShape& shape, const int8_t* weights, std::byte* packed);
  size_t (*scratch_bytes)(const ConvShape& shape);  // of a call for one image
  void (*run)(const ConvShape& shape, const ConvCall& call);
  // Where a call does well to compute several images, and threads to share a layer by output channels instead of rows:
  // into how many panels of them. 0, or null: a call is for one image, and by rows.
  int64_t (*panels)(const ConvShape& shape) = nullptr;
  size_t (*batch_scratch_bytes)(const ConvShape& shape) = nullptr;  // where `panels` is not null: of any call
  // Where a kernel knows OutputTransform::words: multiplies packed weights by `factor`, with which they stay within
  // −127 … 127 and within what `supports` takes. Null: it does not.
  void (*scale)(const ConvShape& shape, int factor, std::byte* packed) = nullptr;
};

// Elementwise a + b of codes (docs/integer-arithmetic.md §4), `pixels` pixels of `channels` channels.
struct AddCall {
  const uint8_t* a;
  int64_t a_pixel_stride;
  const uint8_t* b;
  int64_t b_pixel_stride;
  const float* mult_a;        // per channel
  OutputTransform transform;  // mult: of b
  uint8_t* output;
  int64_t output_pixel_stride;
  int64_t pixels;
  int64_t channels;
};

struct PoolCall {
  const uint8_t* input;
  int64_t input_pixel_stride;
  int64_t in_height, in_width, channels;
  int64_t out_height, out_width;
  int64_t kernel_height, kernel_width;
  int64_t stride_height, stride_width;
  int64_t dilation_height, dilation_width;
  int64_t pad_top, pad_left, pad_bottom, pad_right;
  bool count_include_pad;     // averages
  uint8_t zero_point;         // averages
  OutputTransform transform;  // averages: mult is divided by the count
  uint8_t* output;
  int64_t output_pixel_stride;
  int64_t row_begin, row_end;
};

// The mean of each channel over all pixels: the sum in double, pixel after pixel, divided, rounded to float once.
struct MeanCall {
  const float* input;
  int64_t pixel_stride;  // in floats
  int64_t pixels;        // at least 1
  int64_t channels;
  float* output;
};

// The grid of one channel (engine/tensor/grid.h).
struct QuantizeChannel {
  float step;
  float zero_point;
  float top;  // the largest symbol
  int shift;
};

// Floats to codes as Grid::Code, `pixels` pixels of `channels` channels, each channel's floats one after the other.
struct QuantizeCall {
  const float* input;
  int64_t plane;                   // from one channel's floats to the next one's
  const QuantizeChannel* channel;  // `channels` of them
  int64_t pixels;
  int64_t channels;
  uint8_t* output;
  int64_t output_pixel_stride;
};

}  // namespace bitstage::kernels
