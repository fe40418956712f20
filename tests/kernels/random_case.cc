#include "tests/kernels/random_case.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "engine/base/checked_math.h"
#include "engine/kernels/padded_transform.h"
#include "tests/kernels/guarded_buffer.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kLine = 64;
constexpr int64_t kReadable = 64;  // past an input's last pixel, as params.h allows
// Of one case: the reference multiplies some hundred million times a second.
constexpr int64_t kMaxMacs = 3'000'000;

int64_t MacsPerRow(const ConvShape& shape) {
  return shape.out_width * shape.out_channels * shape.group_in() * shape.kernel_height * shape.kernel_width;
}

// Random codes, now and then only the extreme ones.
uint8_t RandomCode(Random& random, int max_code, bool extreme) {
  if (extreme) return static_cast<uint8_t>(random.OneIn(3) ? 0 : max_code);
  return static_cast<uint8_t>(random.Int(0, max_code));
}

int64_t OutputExtent(Random& random, int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pads) {
  const int64_t reach = (kernel - 1) * dilation + 1;
  const int64_t fit = std::max<int64_t>(0, in + pads - reach) / stride + 1;
  return random.OneIn(8) ? fit + 1 : fit;  // a ceil-mode extent: windows may reach into more padding
}

}  // namespace

ConvShape RandomShape(Random& random) {
  ConvShape shape = {};
  shape.groups = 1;
  shape.kernel_height = random.Int(1, 7);
  shape.kernel_width = random.OneIn(2) ? shape.kernel_height : random.Int(1, 7);
  shape.stride_height = random.Int(1, 3);
  shape.stride_width = random.OneIn(2) ? shape.stride_height : random.Int(1, 3);
  shape.dilation_height = random.OneIn(3) ? random.Int(1, 3) : 1;
  shape.dilation_width = random.OneIn(3) ? random.Int(1, 3) : 1;
  shape.in_height = random.Int(1, 14);
  shape.in_width = random.Int(1, 18);
  shape.in_channels = random.Int(1, 130);
  shape.out_channels = random.Int(1, 130);
  switch (random.Int(0, 4)) {
    case 0:  // depthwise
      shape.groups = shape.out_channels = shape.in_channels;
      break;
    case 1:  // grouped
      shape.groups = random.Int(2, 6);
      shape.in_channels = shape.groups * random.Int(1, 20);
      shape.out_channels = shape.groups * random.Int(1, 40);
      break;
    case 2:  // fully connected
      shape.kernel_height = shape.kernel_width = shape.in_height = shape.in_width = 1;
      shape.in_channels = random.Int(1, 700);
      break;
    default: break;
  }
  const bool fully_connected = shape.in_height == 1 && shape.in_width == 1 && shape.kernel_height == 1;
  shape.pad_top = fully_connected ? 0 : random.Int(0, shape.kernel_height);
  shape.pad_left = fully_connected ? 0 : random.Int(0, shape.kernel_width);
  const auto extent = [&](int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
    return fully_connected ? 1 : OutputExtent(random, in, kernel, stride, dilation, pad + random.Int(0, kernel));
  };
  shape.out_height =
      extent(shape.in_height, shape.kernel_height, shape.stride_height, shape.dilation_height, shape.pad_top);
  shape.out_width =
      extent(shape.in_width, shape.kernel_width, shape.stride_width, shape.dilation_width, shape.pad_left);
  shape.out_height = std::clamp<int64_t>(kMaxMacs / MacsPerRow(shape), 1, shape.out_height);
  return shape;
}

ConvShape RandomThreeByThree(Random& random, int64_t stride) {
  ConvShape shape = {1, 1, 1, 1, 1, 1, 1, 3, 3, stride, stride, 1, 1, 1, 1};
  shape.in_channels = random.OneIn(3) ? random.OneOf<int64_t>({16, 64, 128}) : random.Int(1, 140);
  shape.out_channels = random.OneIn(3) ? random.OneOf<int64_t>({16, 64, 128}) : random.Int(1, 140);
  shape.pad_top = random.Int(0, 3);
  shape.pad_left = random.Int(0, 3);
  shape.in_height = random.Int(1, random.OneIn(4) ? 60 : 8 * stride + 1);
  shape.in_width = random.Int(1, random.OneIn(4) ? 30 * (stride + 1) : 16 * stride + 1);
  shape.out_width = std::max<int64_t>(1, (shape.in_width + shape.pad_left + random.Int(0, 3) - 3) / stride + 1);
  shape.out_height = std::max<int64_t>(1, (shape.in_height + shape.pad_top + random.Int(0, 3) - 3) / stride + 1);
  shape.out_height = std::clamp<int64_t>(kMaxMacs / MacsPerRow(shape), 1, shape.out_height);
  return shape;
}

ConvCase ConvCase::Make(Random& random, const ConvShape& shape) {
  const int max_code = random.OneOf<int>({255, 255, 127, 63, 15, 7, 3, 1});
  return Make(random, shape, {.max_code = max_code, .max_weight = random.OneOf<int>({127, 127, 64, 15, 7, 1})});
}

ConvCase ConvCase::Make(Random& random, const ConvShape& shape, const Bounds& bounds) {
  ConvCase result;
  result.shape = shape;
  result.max_code = bounds.max_code;
  result.max_weight = bounds.max_weight;
  result.zero_point = static_cast<uint8_t>(random.OneIn(2) ? 0 : random.Int(0, result.max_code));
  result.to_float = random.OneIn(5);
  result.prepared = random.OneIn(2);
  const bool with_residual = random.OneIn(3);
  const bool extreme = random.OneIn(4);
  const auto stride_of = [&](int64_t channels) { return channels + (random.OneIn(2) ? 0 : random.Int(1, 40)); };

  result.input_pixel_stride = stride_of(shape.in_channels);
  result.input.resize(static_cast<size_t>(shape.in_height * shape.in_width * result.input_pixel_stride + kReadable));
  // What lies between the channels and past the end is any code at all.
  for (uint8_t& code : result.input) code = static_cast<uint8_t>(random.Int(0, 255));
  for (int64_t pixel = 0; pixel < shape.in_height * shape.in_width; ++pixel) {
    for (int64_t c = 0; c < shape.in_channels; ++c) {
      result.input[static_cast<size_t>(pixel * result.input_pixel_stride + c)] =
          RandomCode(random, result.max_code, extreme);
    }
  }

  const int64_t taps = shape.kernel_height * shape.kernel_width;
  const int64_t per_output = shape.group_in() * taps;
  std::vector<int64_t> allowed;  // [tap][value]
  for (int64_t i = 0; i < taps * bounds.weight_values; ++i) {
    allowed.push_back(random.Int(-bounds.max_weight, bounds.max_weight));
  }
  for (int64_t o = 0; o < shape.out_channels; ++o) {
    int32_t sum = 0;
    for (int64_t i = 0; i < per_output; ++i) {
      const int64_t weight = extreme ? (random.OneIn(2) ? result.max_weight : -result.max_weight)
                                     : random.Int(-result.max_weight, result.max_weight);
      // Some outputs have weights of one sign: the largest accumulators.
      const int64_t value =
          extreme && o % 3 == 0   ? std::abs(weight)
          : extreme && o % 3 == 1 ? -std::abs(weight)
          : bounds.weight_values != 0
              ? allowed[static_cast<size_t>(i % taps * bounds.weight_values + random.Int(0, bounds.weight_values - 1))]
              : weight;
      result.weights.push_back(static_cast<int8_t>(value));
      sum += static_cast<int32_t>(value);
    }
    result.acc_init.push_back(-sum * result.zero_point);
  }

  const int64_t out_pixels = shape.out_height * shape.out_width;
  if (with_residual) {
    result.residual_pixel_stride = stride_of(shape.out_channels);
    result.residual.resize(static_cast<size_t>(out_pixels * result.residual_pixel_stride + kReadable));
    for (uint8_t& code : result.residual) code = static_cast<uint8_t>(random.Int(0, 255));
  }
  result.output_pixel_stride = stride_of(shape.out_channels);
  const float spread = static_cast<float>(result.max_code * result.max_weight) *
                       std::sqrt(static_cast<float>(per_output)) * (extreme ? 1.0f : 0.4f);
  result.transform = !with_residual && !result.to_float && random.OneIn(2)
                         ? TransformArrays::MakeFew(random, shape.out_channels, spread)
                         : TransformArrays::Make(random, shape.out_channels, spread, with_residual, result.to_float);
  result.row_begin = random.OneIn(2) ? 0 : random.Int(0, shape.out_height - 1);
  result.row_end = random.OneIn(2) ? shape.out_height : random.Int(result.row_begin, shape.out_height);
  return result;
}

std::string ConvCase::Describe() const {
  std::ostringstream out;
  if (prepared) out << "prepared ";
  out << shape.in_height << "x" << shape.in_width << "x" << shape.in_channels << " -> " << shape.out_height << "x"
      << shape.out_width << "x" << shape.out_channels << ", kernel " << shape.kernel_height << "x" << shape.kernel_width
      << ", groups " << shape.groups << ", stride " << shape.stride_height << "x" << shape.stride_width << ", dilation "
      << shape.dilation_height << "x" << shape.dilation_width << ", pads " << shape.pad_top << "," << shape.pad_left
      << ", rows " << row_begin << "-" << row_end << ", codes to " << max_code << ", weights to " << max_weight
      << ", zero point " << int{zero_point} << (residual.empty() ? "" : ", residual") << (to_float ? ", float" : "")
      << (transform.shift.empty() ? "" : ", shifts");
  return out.str();
}

std::optional<Words> ConvCase::WordsFor(const ConvKernel& kernel) const {
  if (!prepared || to_float || !residual.empty() || kernel.scale == nullptr) return std::nullopt;
  std::vector<AccumulatorRange> ranges;
  const size_t per_output = weights.size() / acc_init.size();
  for (size_t o = 0; o < acc_init.size(); ++o) {
    AccumulatorRange range = {acc_init[o], acc_init[o]};
    for (size_t i = 0; i < per_output; ++i) {
      const int product = weights[o * per_output + i] * max_code;
      (product < 0 ? range.least : range.most) += product;
    }
    ranges.push_back(range);
  }
  int max_scale = INT8_MAX / max_weight;
  while (max_scale > 1 && !kernel.supports(shape, max_code, max_scale * max_weight)) --max_scale;
  return FindWords(transform.View(false), ranges, max_scale);
}

ConvCase::Constants ConvCase::Prepare(const ConvKernel& kernel, std::byte* packed) const {
  kernel.pack(shape, weights.data(), packed);
  Constants constants = {acc_init, transform, {}, max_weight};
  const auto per_output = static_cast<double>(weights.size()) / static_cast<double>(shape.out_channels);
  constants.view =
      prepared ? constants.arrays.PreparedView(to_float, 255.0 * 127.0 * per_output) : constants.arrays.View(to_float);
  if (const std::optional<Words> words = WordsFor(kernel)) {
    kernel.scale(shape, words->scale, packed);
    constants.max_weight *= words->scale;
    for (size_t o = 0; o < acc_init.size(); ++o) {
      constants.acc_init[o] = words->scale * acc_init[o] + words->offset[o];
    }
    constants.arrays.ByWords(*words, constants.view);
  }
  return constants;
}

std::vector<uint8_t> ConvCase::Run(const ConvKernel& kernel) const {
  GuardedBuffer packed(RoundUp(static_cast<int64_t>(kernel.packed_bytes(shape, weights.data())), kLine) + kReadable);
  const Constants constants = Prepare(kernel, packed.As<std::byte>());
  const GuardedBuffer scratch(RoundUp(static_cast<int64_t>(kernel.scratch_bytes(shape)), kLine));
  const auto pixels_end = [](int64_t pixels, int64_t stride, int64_t channels) {
    return (pixels - 1) * stride + channels;
  };
  const GuardedBuffer guarded_input(
      input, pixels_end(shape.in_height * shape.in_width, input_pixel_stride, shape.in_channels) + kReadable);
  const int64_t out_pixels = shape.out_height * shape.out_width;
  const GuardedBuffer guarded_residual(
      residual, residual.empty() ? 0 : pixels_end(out_pixels, residual_pixel_stride, shape.out_channels) + kReadable);
  const int64_t element = to_float ? static_cast<int64_t>(sizeof(float)) : 1;
  GuardedBuffer output(
      std::vector<uint8_t>(static_cast<size_t>(out_pixels * output_pixel_stride * element), kUntouched),
      pixels_end(out_pixels, output_pixel_stride, shape.out_channels) * element);
  ConvCall call = {};
  call.input = guarded_input.As<uint8_t>();
  call.input_pixel_stride = input_pixel_stride;
  call.zero_point = zero_point;
  call.max_code = max_code;
  call.max_weight = constants.max_weight;
  call.packed_weights = packed.As<std::byte>();
  call.acc_init = constants.acc_init.data();
  call.transform = constants.view;
  call.residual = residual.empty() ? nullptr : guarded_residual.As<uint8_t>();
  call.residual_pixel_stride = residual_pixel_stride;
  call.output = output.As<std::byte>();
  call.output_pixel_stride = output_pixel_stride;
  call.row_begin = row_begin;
  call.row_end = row_end;
  call.scratch = scratch.As<std::byte>();
  kernel.run(shape, call);
  std::vector<uint8_t> bytes(output.As<uint8_t>(), output.As<uint8_t>() + output.size());
  bytes.resize(static_cast<size_t>(out_pixels * output_pixel_stride * element), kUntouched);
  return bytes;
}

bool ConvCase::OutsideIsUntouched(const std::vector<uint8_t>& output) const {
  const int64_t element = to_float ? static_cast<int64_t>(sizeof(float)) : 1;
  const int64_t pixel_bytes = output_pixel_stride * element;
  for (size_t i = 0; i < output.size(); ++i) {
    const int64_t row = static_cast<int64_t>(i) / pixel_bytes / shape.out_width;
    const bool owned =
        row >= row_begin && row < row_end && static_cast<int64_t>(i) % pixel_bytes < shape.out_channels * element;
    if (!owned && output[i] != kUntouched) return false;
  }
  return true;
}

}  // namespace bitstage::kernels
