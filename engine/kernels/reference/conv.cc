#include <cstring>

#include "engine/kernels/reference/reference.h"

namespace bitstage::kernels::reference {
namespace {

size_t WeightCount(const ConvShape& shape) {
  return static_cast<size_t>(shape.out_channels * shape.group_in() * shape.kernel_height * shape.kernel_width);
}

bool Supports(const ConvShape&, int, int) { return true; }
double Cycles(const ConvShape& shape, int, int) { return 10.0 * static_cast<double>(shape.macs()); }
size_t PackedBytes(const ConvShape& shape, const int8_t*) { return WeightCount(shape); }
void Pack(const ConvShape& shape, const int8_t* weights, std::byte* packed) {
  std::memcpy(packed, weights, WeightCount(shape));
}
size_t ScratchBytes(const ConvShape&) { return 0; }

int32_t Accumulate(const ConvShape& shape, const ConvCall& call, int64_t o, int64_t y, int64_t x) {
  const int64_t first_channel = o / shape.group_out() * shape.group_in();
  const auto* weight = reinterpret_cast<const int8_t*>(call.packed_weights) +
                       o * shape.group_in() * shape.kernel_height * shape.kernel_width;
  int32_t acc = call.acc_init[o];
  for (int64_t i = 0; i < shape.group_in(); ++i) {
    for (int64_t ky = 0; ky < shape.kernel_height; ++ky) {
      for (int64_t kx = 0; kx < shape.kernel_width; ++kx) {
        const int64_t in_y = y * shape.stride_height + ky * shape.dilation_height - shape.pad_top;
        const int64_t in_x = x * shape.stride_width + kx * shape.dilation_width - shape.pad_left;
        const bool inside = in_y >= 0 && in_y < shape.in_height && in_x >= 0 && in_x < shape.in_width;
        const int64_t pixel = in_y * shape.in_width + in_x;
        const int code = inside ? call.input[pixel * call.input_pixel_stride + first_channel + i] : call.zero_point;
        acc += code * *weight++;
      }
    }
  }
  return acc;
}

void Run(const ConvShape& shape, const ConvCall& call) {
  const int64_t element_bytes = call.transform.to_float ? static_cast<int64_t>(sizeof(float)) : 1;
  for (int64_t y = call.row_begin; y < call.row_end; ++y) {
    for (int64_t x = 0; x < shape.out_width; ++x) {
      const int64_t pixel = y * shape.out_width + x;
      const uint8_t* residual = call.residual == nullptr ? nullptr : call.residual + pixel * call.residual_pixel_stride;
      std::byte* output = static_cast<std::byte*>(call.output) + pixel * call.output_pixel_stride * element_bytes;
      for (int64_t o = 0; o < shape.out_channels; ++o) {
        const int32_t acc = Accumulate(shape, call, o, y, x);
        TransformPixel(call.transform, o, 1, &acc, residual, output);
      }
    }
  }
}

}  // namespace

const ConvKernel kConv = {"reference", Supports, Cycles, PackedBytes, Pack, ScratchBytes, Run};

}  // namespace bitstage::kernels::reference
