#include <cstring>
#include <utility>

#include "engine/runtime/move_step.h"

namespace bitstage {
namespace {

constexpr double kPixelNanoseconds = 4;
constexpr double kByteNanoseconds = 0.05;

Step::Traits TraitsOf(const char* kernel, const Place& input, const Place& output, const CodeLayout& layout) {
  Step::Traits traits;
  traits.kernel = kernel;
  traits.reads = {input.slot};
  traits.writes = {output.slot};
  traits.rows = layout.height;
  traits.row_nanoseconds =
      static_cast<double>(layout.width) * (kPixelNanoseconds + static_cast<double>(layout.channels) * kByteNanoseconds);
  return traits;
}

class CopyStep : public Step {
 public:
  CopyStep(const CodeLayout& layout, const Place& input, const Place& output)
      : Step(TraitsOf("copy", input, output, layout)), layout_(layout), input_(input), output_(output) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    for (int64_t pixel = row_begin * layout_.width; pixel < row_end * layout_.width; ++pixel) {
      std::memcpy(frame.At<uint8_t>(output_) + pixel * output_.pixel_stride,
                  frame.At<uint8_t>(input_) + pixel * input_.pixel_stride, static_cast<size_t>(layout_.channels));
    }
  }

 private:
  CodeLayout layout_;
  Place input_, output_;
};

class SpreadStep : public Step {
 public:
  SpreadStep(const CodeOperand& input, const CodeOperand& output, const std::array<int64_t, 2>& stride,
             const std::array<int64_t, 2>& before)
      : Step(TraitsOf("spread", input.place, output.place, output.layout)),
        input_(input),
        output_(output),
        stride_(stride),
        before_(before) {}

  void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte*) const override {
    const auto channels = static_cast<size_t>(input_.layout.channels);
    const auto row_bytes = static_cast<size_t>(output_.layout.width * output_.place.pixel_stride);
    for (int64_t y = row_begin; y < row_end; ++y) {
      uint8_t* row = frame.At<uint8_t>(output_.place) + static_cast<size_t>(y) * row_bytes;
      std::memset(row, input_.grid->zero_point, row_bytes);
      const int64_t in_y = Source(0, y, input_.layout.height);
      if (in_y < 0) continue;
      const uint8_t* source = frame.At<uint8_t>(input_.place) + in_y * input_.layout.width * input_.place.pixel_stride;
      for (int64_t x = 0; x < output_.layout.width; ++x) {
        const int64_t in_x = Source(1, x, input_.layout.width);
        if (in_x < 0) continue;
        std::memcpy(row + x * output_.place.pixel_stride, source + in_x * input_.place.pixel_stride, channels);
      }
    }
  }

 private:
  [[nodiscard]] int64_t Source(size_t axis, int64_t at, int64_t extent) const {
    const int64_t reach = at - before_[axis];
    if (reach < 0 || reach % stride_[axis] != 0 || reach / stride_[axis] >= extent) return -1;
    return reach / stride_[axis];
  }

  CodeOperand input_, output_;
  std::array<int64_t, 2> stride_, before_;
};

}  // namespace

std::unique_ptr<Step> MakeCopyStep(const CodeOperand& input, const Place& output) {
  return std::make_unique<CopyStep>(input.layout, input.place, output);
}

std::unique_ptr<Step> MakeSpreadStep(const CodeOperand& input, const CodeOperand& output,
                                     const std::array<int64_t, 2>& stride, const std::array<int64_t, 2>& before) {
  return std::make_unique<SpreadStep>(input, output, stride, before);
}

}  // namespace bitstage
