#include <algorithm>
#include <utility>

#include "engine/runtime/float_steps.h"

namespace bitstage {
namespace {

constexpr double kElementNanoseconds = 1.0;
constexpr int64_t kLine = 256;

// Grid::Symbol for a line of one channel. Clamping before rounding changes nothing: the limits are whole numbers.
// Adding and subtracting 1.5 · 2^23 rounds to nearest, half to even.
void QuantizeLine(const Grid& grid, int64_t channel, const float* x, int64_t count, uint8_t* codes) {
  constexpr float kRounder = 12582912.0f;
  const float step = grid.StepOf(channel);
  const auto zero_point = static_cast<float>(grid.zero_point);
  const int shift = grid.ShiftOf(channel);
  const float unit = 1.0f / static_cast<float>(1 << shift);  // a power of two: multiplying is dividing
  const auto most = static_cast<float>(grid.MaxSymbol(channel));
  const auto of_nan = static_cast<float>(std::min(grid.zero_point >> shift, grid.MaxSymbol(channel)));
  for (int64_t i = 0; i < count; ++i) {
    float scaled = (x[i] / step + zero_point) * unit;
    scaled = scaled == scaled ? scaled : of_nan;
    scaled = scaled > 0 ? scaled : 0;
    scaled = scaled < most ? scaled : most;
    codes[i] = static_cast<uint8_t>(static_cast<int>((scaled + kRounder) - kRounder) << shift);
  }
}

class QuantizeStep : public Step {
 public:
  QuantizeStep(Traits traits, const Place& input, const CodeOperand& output)
      : Step(std::move(traits)), input_(input), output_(output) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    const CodeLayout& layout = output_.layout;
    const auto* input = frame.At<float>(input_);
    auto* output = frame.At<uint8_t>(output_.place);
    if (layout.grid_by_pixel) {
      for (int64_t y = row_begin; y < row_end; ++y) {
        QuantizeLine(*output_.grid, y, input + y * layout.channels, layout.channels,
                     output + y * output_.place.pixel_stride);
      }
      return;
    }
    if (layout.pixels() == 1 && IsUniform(*output_.grid)) {
      return QuantizeLine(*output_.grid, 0, input, layout.channels, output);
    }
    const int64_t end = row_end * layout.width;
    for (int64_t begin = row_begin * layout.width; begin < end; begin += kLine) {
      const int64_t count = std::min(kLine, end - begin);
      for (int64_t c = 0; c < layout.channels; ++c) {
        uint8_t line[kLine];
        QuantizeLine(*output_.grid, c, input + c * layout.pixels() + begin, count, line);
        uint8_t* target = output + begin * output_.place.pixel_stride + c;
        for (int64_t i = 0; i < count; ++i) target[i * output_.place.pixel_stride] = line[i];
      }
    }
  }

 private:
  Place input_;
  CodeOperand output_;
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

std::unique_ptr<Step> MakeQuantizeStep(const Place& input, const CodeOperand& output) {
  return std::make_unique<QuantizeStep>(TraitsOf("quantize", output.layout, input, output.place), input, output);
}

std::unique_ptr<Step> MakeDequantizeStep(const CodeOperand& input, const Place& output) {
  return std::make_unique<DequantizeStep>(TraitsOf("dequantize", input.layout, input.place, output), input, output);
}

std::unique_ptr<Step> MakePlanarStep(const CodeLayout& layout, const Place& input, const Place& output) {
  return std::make_unique<PlanarStep>(TraitsOf("planar", layout, input, output), layout, input, output);
}

}  // namespace bitstage
