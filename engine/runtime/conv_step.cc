#include "engine/runtime/conv_step.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/kernels/words.h"
#include "engine/runtime/mapped_buffer.h"
#include "engine/runtime/output_transform.h"

namespace bitstage {
namespace {

// Multiply-accumulates in a nanosecond on one core: low, so that a share of rows is never too small to pay.
double MacsPerNanosecond(Isa isa) { return isa == Isa::kReference ? 0.5 : 20; }

// Of weights, brought near before their layer comes: a part of the L2 cache.
constexpr size_t kFirstBytes = 96 << 10;

// alpha · code, flipped where the layer says so. `storage` holds them where they are not the codes themselves.
std::span<const int8_t> FoldedWeights(const ConvLayer& layer, std::vector<int8_t>& storage) {
  if (layer.weights->alpha.empty() && !layer.flip_kernel) return layer.weights->codes;
  storage = layer.weights->Folded();
  const int64_t positions = layer.shape.kernel_height * layer.shape.kernel_width;
  for (auto kernel = storage.begin(); layer.flip_kernel && kernel != storage.end(); kernel += positions) {
    std::reverse(kernel, kernel + positions);
  }
  return storage;
}

struct Sums {
  int32_t sum = 0;
  int32_t magnitude = 0;  // of absolute values; a layer's fit (CheckAccumulators of engine/graph)
};

// In pieces whose sums fit 16 bits: compilers add them many at a time.
Sums SumsOf(std::span<const int8_t> weights) {
  constexpr size_t kPiece = 256;
  Sums sums;
  for (size_t begin = 0; begin < weights.size(); begin += kPiece) {
    int16_t sum = 0;
    int16_t magnitude = 0;
    for (const int8_t w : weights.subspan(begin, std::min(kPiece, weights.size() - begin))) {
      sum = static_cast<int16_t>(sum + w);
      magnitude = static_cast<int16_t>(magnitude + (w < 0 ? -w : w));
    }
    sums.sum += sum;
    sums.magnitude += magnitude;
  }
  return sums;
}

int MaxMagnitude(std::span<const int8_t> weights) {
  uint8_t largest = 0;
  for (const int8_t w : weights) largest = std::max(largest, static_cast<uint8_t>(w < 0 ? -w : w));
  return largest;
}

TransformArrays MakeConvTransform(const ConvLayer& layer) {
  const int64_t outputs = layer.shape.out_channels;
  TransformArrays arrays = MakeTransform(layer.output_grid, outputs, layer.clamp);
  if (layer.residual) arrays.residual_mult.resize(arrays.mult.size());
  // Steps of single channels are in the weights already (docs/integer-arithmetic.md §1).
  const double step_in = layer.input.grid->HasStepPerChannel() ? 1.0 : layer.input.grid->StepOf(0);
  for (int64_t o = 0; o < outputs; ++o) {
    const auto i = static_cast<size_t>(o);
    const OutputScale scale = OutputScaleOf(layer.output_grid, o);
    const double bias = layer.bias.empty() ? 0.0 : layer.bias[i];
    double add = bias / scale.unit + scale.offset;
    if (layer.residual) {
      const double residual_mult = layer.residual->grid->StepOf(o) / scale.unit;
      add -= residual_mult * layer.residual->grid->zero_point;
      arrays.residual_mult[i] = static_cast<float>(residual_mult);
    }
    arrays.mult[i] = static_cast<float>(step_in * layer.weights->ScaleOf(o) / scale.unit);
    arrays.add[i] = static_cast<float>(add);
  }
  return arrays;
}

// Do the transforms of accumulators up to `magnitude`, shifted by up to 7, keep away from the ends of int32?
bool StaysWithinInt32(const TransformArrays& transform, size_t o, double magnitude) {
  const double residual = transform.residual_mult.empty() ? 0 : 255.0 * std::fabs(transform.residual_mult[o]);
  return magnitude * std::fabs(transform.mult[o]) + std::fabs(transform.add[o]) + residual < 0x1p23;
}

// The accumulators of a channel whose weights have these sums.
kernels::AccumulatorRange RangeOf(const Sums& sums, int32_t acc_init, int max_code) {
  const int32_t positive = (sums.magnitude + sums.sum) / 2;
  return {acc_init - max_code * (sums.magnitude - positive), acc_init + max_code * positive};
}

std::string Describe(const kernels::ConvShape& s) {
  std::string text = absl::StrCat(s.in_height, "x", s.in_width, "x", s.in_channels, " -> ", s.out_height, "x",
                                  s.out_width, "x", s.out_channels, ", ", s.kernel_height, "x", s.kernel_width);
  if (s.stride_height != 1 || s.stride_width != 1) absl::StrAppend(&text, " by ", s.stride_height);
  if (s.stride_height != s.stride_width) absl::StrAppend(&text, "x", s.stride_width);
  if (s.dilation_height != 1 || s.dilation_width != 1) absl::StrAppend(&text, ", dilated ", s.dilation_height);
  if (s.groups != 1) absl::StrAppend(&text, ", ", s.groups, " groups");
  return text;
}

class ConvStep : public Step {
 public:
  struct Parameters {
    const kernels::ConvKernel* kernel;
    kernels::ConvShape shape;
    MappedBuffer packed;
    std::vector<int32_t> acc_init;
    TransformArrays transform;
    uint8_t zero_point;
    int max_code, max_weight;
    Place input;
    std::optional<Place> residual;
    Place output;
  };

  ConvStep(Traits traits, Parameters parameters) : Step(std::move(traits)), p_(std::move(parameters)) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte* scratch) const override {
    kernels::ConvCall call;
    call.input = frame.At<uint8_t>(p_.input);
    call.input_pixel_stride = p_.input.pixel_stride;
    call.zero_point = p_.zero_point;
    call.max_code = p_.max_code;
    call.max_weight = p_.max_weight;
    call.packed_weights = p_.packed.data();
    call.acc_init = p_.acc_init.data();
    call.transform = p_.transform.View();
    call.residual = p_.residual ? frame.At<uint8_t>(*p_.residual) : nullptr;
    call.residual_pixel_stride = p_.residual ? p_.residual->pixel_stride : 0;
    call.output = frame.At<std::byte>(p_.output);
    call.output_pixel_stride = p_.output.pixel_stride;
    if (traits().all_images) {
      call.row_begin = 0;
      call.row_end = p_.shape.out_height;
      call.panel_begin = row_begin;
      call.panel_end = row_end;
      call.images = frame.images();
      call.input_image_bytes = frame.Stride(p_.input);
      call.residual_image_bytes = p_.residual ? frame.Stride(*p_.residual) : 0;
      call.output_image_bytes = frame.Stride(p_.output);
    } else {
      call.row_begin = row_begin;
      call.row_end = row_end;
    }
    call.scratch = scratch;
    call.ahead = {ahead_.data(), static_cast<int64_t>(ahead_.size())};
    p_.kernel->run(p_.shape, call);
  }

  [[nodiscard]] std::span<const std::byte> FirstWeights() const override {
    return {p_.packed.data(), std::min(p_.packed.size(), kFirstBytes)};
  }
  void LookAhead(std::span<const std::byte> weights) override { ahead_ = weights; }

 private:
  Parameters p_;
  std::span<const std::byte> ahead_;
};

// Lets codes come by words, where the kernel knows them and they are found.
void TakeWords(std::span<const kernels::AccumulatorRange> ranges, ConvStep::Parameters& p) {
  if (p.kernel->scale == nullptr || p.residual || p.transform.to_float) return;
  const int weight = std::max(p.max_weight, 1);
  int max_scale = INT8_MAX / weight;
  while (max_scale > 1 && !p.kernel->supports(p.shape, p.max_code, max_scale * weight)) --max_scale;
  const std::optional<kernels::Words> words = kernels::FindWords(p.transform.View(), ranges, max_scale);
  if (!words) return;
  p.kernel->scale(p.shape, words->scale, p.packed.data());
  p.max_weight *= words->scale;
  for (size_t o = 0; o < ranges.size(); ++o) p.acc_init[o] = words->scale * p.acc_init[o] + words->offset[o];
  p.transform.Take(*words);
}

}  // namespace

std::unique_ptr<Step> MakeConvStep(const kernels::KernelTable& table, const ConvLayer& layer) {
  const kernels::ConvShape& shape = layer.shape;
  std::vector<int8_t> storage;
  const std::span<const int8_t> weights = FoldedWeights(layer, storage);
  const int max_code =
      std::max(layer.input.grid->MaxCode(), layer.input.grid->zero_point);  // padding is the zero point
  const int max_weight = MaxMagnitude(weights);
  const kernels::ConvKernel& kernel = table.ChooseConv(shape, max_code, max_weight);

  ConvStep::Parameters p{.kernel = &kernel,
                         .shape = shape,
                         .packed = MappedBuffer(kernel.packed_bytes(shape, weights.data())),
                         .acc_init = {},
                         .transform = MakeConvTransform(layer),
                         .zero_point = static_cast<uint8_t>(layer.input.grid->zero_point),
                         .max_code = max_code,
                         .max_weight = max_weight,
                         .input = layer.input.place,
                         .residual = layer.residual ? std::optional(layer.residual->place) : std::nullopt,
                         .output = layer.output};
  kernel.pack(shape, weights.data(), p.packed.data());
  const size_t per_output = weights.size() / static_cast<size_t>(shape.out_channels);
  p.transform.within_int32 = true;
  std::vector<kernels::AccumulatorRange> ranges;
  for (size_t o = 0; o < static_cast<size_t>(shape.out_channels); ++o) {
    const Sums sums = SumsOf(weights.subspan(o * per_output, per_output));
    p.acc_init.push_back(-static_cast<int32_t>(p.zero_point) * sums.sum);
    p.transform.within_int32 &= StaysWithinInt32(p.transform, o, 255.0 * sums.magnitude);
    ranges.push_back(RangeOf(sums, p.acc_init.back(), max_code));
  }
  TakeWords(ranges, p);

  Step::Traits traits;
  traits.kernel = kernel.name;
  traits.shape = Describe(shape);
  for (const kernels::ConvKernel* candidate : table.convs) {
    if (!candidate->supports(shape, max_code, max_weight)) continue;
    traits.candidates.push_back({candidate->name, candidate->cycles(shape, max_code, max_weight)});
  }
  traits.weights = static_cast<int64_t>(weights.size());
  traits.packed_bytes = p.packed.size();
  traits.reads = {layer.input.place.slot};
  if (layer.residual) traits.reads.push_back(layer.residual->place.slot);
  traits.writes = {layer.output.slot};
  const int64_t panels = kernel.panels == nullptr ? 0 : kernel.panels(shape);
  traits.all_images = panels > 0;
  traits.rows = panels > 0 ? panels : shape.out_height;
  traits.row_nanoseconds = static_cast<double>(shape.out_height * shape.out_width) *
                           static_cast<double>(weights.size()) / MacsPerNanosecond(table.isa) /
                           static_cast<double>(traits.rows);
  traits.scratch_bytes = kernel.scratch_bytes(shape);
  if (traits.all_images) traits.batch_scratch_bytes = kernel.batch_scratch_bytes(shape);
  traits.constant_bytes = p.packed.taken() + p.acc_init.size() * sizeof(int32_t) + p.transform.bytes();
  return std::make_unique<ConvStep>(std::move(traits), std::move(p));
}

}  // namespace bitstage
