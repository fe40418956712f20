#include <utility>
#include <vector>

#include "engine/runtime/float_steps.h"

namespace bitstage {
namespace {

constexpr double kElementNanoseconds = 1.0;

std::vector<kernels::QuantizeChannel> ChannelsOf(const CodeOperand& output) {
  const CodeLayout& layout = output.layout;
  const Grid& grid = *output.grid;
  const int64_t by_pixel = IsUniform(grid) ? 1 : layout.pixels();
  std::vector<kernels::QuantizeChannel> channels;
  for (int64_t c = 0; c < (layout.grid_by_pixel ? by_pixel : layout.channels); ++c) {
    channels.push_back({.step = grid.StepOf(c),
                        .zero_point = static_cast<float>(grid.zero_point),
                        .top = static_cast<float>(grid.MaxSymbol(c)),
                        .shift = grid.ShiftOf(c)});
  }
  return channels;
}

class QuantizeStep : public Step {
 public:
  QuantizeStep(Traits traits, void (*run)(const kernels::QuantizeCall&), const Place& input, const CodeOperand& output)
      : Step(std::move(traits)), run_(run), input_(input), output_(output), channels_(ChannelsOf(output)) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    const CodeLayout& layout = output_.layout;
    kernels::QuantizeCall call;
    call.input = frame.At<float>(input_);
    call.output = frame.At<uint8_t>(output_.place);
    call.channel = channels_.data();
    // Floats that lie in one line and have one grid are pixels of a single channel.
    const bool is_line = layout.pixels() == 1 && IsUniform(*output_.grid);
    if (layout.grid_by_pixel || is_line) {
      call.plane = 0;
      call.pixels = layout.channels;
      call.channels = 1;
      call.output_pixel_stride = 1;
      call.input += row_begin * layout.channels;
      call.output += row_begin * output_.place.pixel_stride;
      for (int64_t y = row_begin; y < row_end; ++y) {
        call.channel = channels_.data() + (is_line || channels_.size() == 1 ? 0 : y);
        run_(call);
        call.input += layout.channels;
        call.output += output_.place.pixel_stride;
      }
      return;
    }
    call.plane = layout.pixels();
    call.pixels = (row_end - row_begin) * layout.width;
    call.channels = layout.channels;
    call.output_pixel_stride = output_.place.pixel_stride;
    call.input += row_begin * layout.width;
    call.output += row_begin * layout.width * output_.place.pixel_stride;
    run_(call);
  }

 private:
  void (*run_)(const kernels::QuantizeCall&);
  Place input_;
  CodeOperand output_;
  std::vector<kernels::QuantizeChannel> channels_;
};

class DequantizeStep : public Step {
 public:
  DequantizeStep(Traits traits, const CodeOperand& input, const Place& output)
      : Step(std::move(traits)), input_(input), output_(output) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    const CodeLayout& layout = input_.layout;
    const auto* input = frame.At<uint8_t>(input_.place);
    auto* output = frame.At<float>(output_);
    const int64_t begin = row_begin * layout.width;
    const int64_t end = row_end * layout.width;
    for (int64_t c = 0; c < layout.channels; ++c) {
      for (int64_t pixel = begin; pixel < end; ++pixel) {
        output[layout.ElementAt(pixel, c)] =
            input_.grid->Real(input[pixel * input_.place.pixel_stride + c], layout.grid_by_pixel ? pixel : c);
      }
    }
  }

 private:
  CodeOperand input_;
  Place output_;
};

class PlanarStep : public Step {
 public:
  PlanarStep(Traits traits, const CodeLayout& layout, const Place& input, const Place& output)
      : Step(std::move(traits)), layout_(layout), input_(input), output_(output) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    const auto* input = frame.At<float>(input_);
    auto* output = frame.At<float>(output_);
    for (int64_t c = 0; c < layout_.channels; ++c) {
      for (int64_t pixel = row_begin * layout_.width; pixel < row_end * layout_.width; ++pixel) {
        output[c * layout_.pixels() + pixel] = input[pixel * input_.pixel_stride + c];
      }
    }
  }

 private:
  CodeLayout layout_;
  Place input_, output_;
};

Step::Traits TraitsOf(const char* kernel, const CodeLayout& layout, const Place& input, const Place& output) {
  Step::Traits traits;
  traits.kernel = kernel;
  traits.reads = {input.slot};
  traits.writes = {output.slot};
  traits.rows = layout.height;
  traits.row_nanoseconds = static_cast<double>(layout.width * layout.channels) * kElementNanoseconds;
  return traits;
}

}  // namespace

std::unique_ptr<Step> MakeQuantizeStep(const kernels::KernelTable& table, const Place& input,
                                       const CodeOperand& output) {
  return std::make_unique<QuantizeStep>(TraitsOf("quantize", output.layout, input, output.place), table.quantize, input,
                                        output);
}

std::unique_ptr<Step> MakeDequantizeStep(const CodeOperand& input, const Place& output) {
  return std::make_unique<DequantizeStep>(TraitsOf("dequantize", input.layout, input.place, output), input, output);
}

std::unique_ptr<Step> MakePlanarStep(const CodeLayout& layout, const Place& input, const Place& output) {
  return std::make_unique<PlanarStep>(TraitsOf("planar", layout, input, output), layout, input, output);
}

}  // namespace bitstage
