#include "engine/runtime/code_steps.h"

#include <cmath>
#include <utility>

#include "engine/runtime/output_transform.h"

namespace bitstage {
namespace {

// Guesses for one byte of a plain vectorized loop, and for one byte of a lookup.
constexpr double kByteNanoseconds = 0.1;
constexpr double kLookupNanoseconds = 0.7;

class AddStep : public Step {
 public:
  struct Parameters {
    void (*run)(const kernels::AddCall&);
    std::vector<float> mult_a;
    TransformArrays transform;
    Place a, b, output;
    CodeLayout layout;
  };

  AddStep(Traits traits, Parameters parameters) : Step(std::move(traits)), p_(std::move(parameters)) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    const int64_t first = row_begin * p_.layout.width;
    kernels::AddCall call;
    call.a = frame.At<uint8_t>(p_.a) + first * p_.a.pixel_stride;
    call.a_pixel_stride = p_.a.pixel_stride;
    call.b = frame.At<uint8_t>(p_.b) + first * p_.b.pixel_stride;
    call.b_pixel_stride = p_.b.pixel_stride;
    call.mult_a = p_.mult_a.data();
    call.transform = p_.transform.View();
    call.output = frame.At<uint8_t>(p_.output) + first * p_.output.pixel_stride;
    call.output_pixel_stride = p_.output.pixel_stride;
    call.pixels = (row_end - row_begin) * p_.layout.width;
    call.channels = p_.layout.channels;
    p_.run(call);
  }

 private:
  Parameters p_;
};

class PoolStep : public Step {
 public:
  struct Parameters {
    void (*run)(const kernels::PoolCall&);
    kernels::PoolCall call;  // all but the pointers and the rows
    TransformArrays transform;
    Place input, output;
  };

  PoolStep(Traits traits, Parameters parameters) : Step(std::move(traits)), p_(std::move(parameters)) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    kernels::PoolCall call = p_.call;
    call.input = frame.At<uint8_t>(p_.input);
    call.transform = p_.transform.View();
    call.output = frame.At<uint8_t>(p_.output);
    call.row_begin = row_begin;
    call.row_end = row_end;
    p_.run(call);
  }

 private:
  Parameters p_;
};

class TableStep : public Step {
 public:
  TableStep(Traits traits, std::vector<uint8_t> tables, const CodeOperand& input, const Place& output)
      : Step(std::move(traits)),
        tables_(std::move(tables)),
        table_stride_(tables_.size() > 256 ? 256 : 0),
        layout_(input.layout),
        input_(input.place),
        output_(output) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    for (int64_t pixel = row_begin * layout_.width; pixel < row_end * layout_.width; ++pixel) {
      const uint8_t* in = frame.At<uint8_t>(input_) + pixel * input_.pixel_stride;
      uint8_t* out = frame.At<uint8_t>(output_) + pixel * output_.pixel_stride;
      const uint8_t* table = tables_.data();
      for (int64_t c = 0; c < layout_.channels; ++c, table += table_stride_) out[c] = table[in[c]];
    }
  }

 private:
  std::vector<uint8_t> tables_;
  size_t table_stride_;
  CodeLayout layout_;
  Place input_, output_;
};

}  // namespace

std::unique_ptr<Step> MakeAddStep(const kernels::KernelTable& table, const CodeOperand& a, const CodeOperand& b,
                                  const CodeOperand& output, const std::optional<Clamp>& clamp) {
  const CodeLayout& layout = output.layout;
  AddStep::Parameters p{.run = table.add,
                        .mult_a = std::vector<float>(static_cast<size_t>(layout.channels)),
                        .transform = MakeTransform(output.grid, layout.channels, clamp),
                        .a = a.place,
                        .b = b.place,
                        .output = output.place,
                        .layout = layout};
  for (int64_t c = 0; c < layout.channels; ++c) {
    const auto i = static_cast<size_t>(c);
    const OutputScale scale = OutputScaleOf(output.grid, c);
    const double mult_a = a.grid->StepOf(c) / scale.unit;
    const double mult_b = b.grid->StepOf(c) / scale.unit;
    p.mult_a[i] = static_cast<float>(mult_a);
    p.transform.mult[i] = static_cast<float>(mult_b);
    p.transform.add[i] = static_cast<float>(scale.offset - mult_a * a.grid->zero_point - mult_b * b.grid->zero_point);
  }
  Step::Traits traits;
  traits.kernel = "add";
  traits.reads = {a.place.slot, b.place.slot};
  traits.writes = {output.place.slot};
  traits.rows = layout.height;
  traits.row_nanoseconds = static_cast<double>(layout.width * layout.channels) * kByteNanoseconds;
  traits.constant_bytes = p.mult_a.size() * sizeof(float) + p.transform.bytes();
  return std::make_unique<AddStep>(std::move(traits), std::move(p));
}

std::unique_ptr<Step> MakePoolStep(const kernels::KernelTable& table, const Pool& pool, const CodeOperand& input,
                                   const CodeOperand& output) {
  const bool is_max = pool.kind == PoolKind::kMax;
  const Window& window = pool.window;
  const int64_t channels = input.layout.channels;
  PoolStep::Parameters p{.run = is_max ? table.max_pool : table.average_pool,
                         .call = {},
                         .transform = MakeTransform(output.grid, channels, std::nullopt),
                         .input = input.place,
                         .output = output.place};
  p.call.input_pixel_stride = input.place.pixel_stride;
  p.call.in_height = input.layout.height;
  p.call.in_width = input.layout.width;
  p.call.channels = channels;
  p.call.out_height = output.layout.height;
  p.call.out_width = output.layout.width;
  p.call.kernel_height = window.kernel[0];
  p.call.kernel_width = window.kernel[1];
  p.call.stride_height = window.stride[0];
  p.call.stride_width = window.stride[1];
  p.call.dilation_height = window.dilation[0];
  p.call.dilation_width = window.dilation[1];
  p.call.pad_top = window.pad_before[0];
  p.call.pad_left = window.pad_before[1];
  p.call.pad_bottom = window.pad_after[0];
  p.call.pad_right = window.pad_after[1];
  p.call.count_include_pad = pool.count_include_pad;
  p.call.zero_point = static_cast<uint8_t>(input.grid->zero_point);
  p.call.output_pixel_stride = output.place.pixel_stride;
  for (int64_t c = 0; c < channels; ++c) {
    const OutputScale scale = OutputScaleOf(output.grid, c);
    p.transform.mult[static_cast<size_t>(c)] = static_cast<float>(input.grid->StepOf(c) / scale.unit);
    p.transform.add[static_cast<size_t>(c)] = static_cast<float>(scale.offset);
  }
  Step::Traits traits;
  traits.kernel = is_max ? "max_pool" : "average_pool";
  traits.reads = {input.place.slot};
  traits.writes = {output.place.slot};
  traits.rows = output.layout.height;
  traits.row_nanoseconds = static_cast<double>(output.layout.width * channels) *
                           static_cast<double>(window.kernel[0] * window.kernel[1]) * kByteNanoseconds;
  traits.constant_bytes = p.transform.bytes();
  return std::make_unique<PoolStep>(std::move(traits), std::move(p));
}

std::unique_ptr<Step> MakeTableStep(std::vector<uint8_t> tables, const CodeOperand& input, const CodeOperand& output) {
  Step::Traits traits;
  traits.kernel = "table";
  traits.reads = {input.place.slot};
  traits.writes = {output.place.slot};
  traits.rows = input.layout.height;
  traits.row_nanoseconds = static_cast<double>(input.layout.width * input.layout.channels) * kLookupNanoseconds;
  traits.constant_bytes = tables.size();
  return std::make_unique<TableStep>(std::move(traits), std::move(tables), input, output.place);
}

}  // namespace bitstage
