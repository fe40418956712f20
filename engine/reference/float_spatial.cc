#include <cmath>
#include <limits>

#include "engine/reference/float_kernels.h"

namespace bitstage::float_kernels {
namespace {

// Where output position `out` samples the input along one axis (ONNX Resize, coordinate_transformation_mode); in float,
// so that positions on a tie are the ones other implementations see.
float SourcePosition(ResizeCoordinates coordinates, int64_t out, int64_t in_extent, int64_t out_extent, float scale) {
  const auto position = static_cast<float>(out);
  switch (coordinates) {
    case ResizeCoordinates::kHalfPixel: return (position + 0.5f) / scale - 0.5f;
    case ResizeCoordinates::kPytorchHalfPixel: return out_extent > 1 ? (position + 0.5f) / scale - 0.5f : 0;
    case ResizeCoordinates::kAlignCorners:
      return out_extent > 1 ? position * static_cast<float>(in_extent - 1) / static_cast<float>(out_extent - 1) : 0;
    case ResizeCoordinates::kAsymmetric: return position / scale;
  }
  return 0;
}

float RoundPosition(ResizeRounding rounding, float position) {
  switch (rounding) {
    case ResizeRounding::kRoundPreferFloor: return std::ceil(position - 0.5f);
    case ResizeRounding::kRoundPreferCeil: return std::floor(position + 0.5f);
    case ResizeRounding::kFloor: return std::floor(position);
    case ResizeRounding::kCeil: return std::ceil(position);
  }
  return position;
}

// The two input positions that one output position mixes: x[low] · (1 − mix) + x[high] · mix.
struct Tap {
  int64_t low, high;
  float mix;
};

Tap TapOf(const Resize& op, int64_t out, int64_t in_extent, int64_t out_extent, float scale) {
  const auto last = static_cast<float>(in_extent - 1);
  const float position = SourcePosition(op.coordinates, out, in_extent, out_extent, scale);
  if (op.mode == ResizeMode::kNearest) {
    const auto at = static_cast<int64_t>(std::min(std::max(RoundPosition(op.rounding, position), 0.0f), last));
    return {at, at, 0};
  }
  const float inside = std::min(std::max(position, 0.0f), last);
  const auto low = static_cast<int64_t>(inside);
  return {low, std::min(low + 1, in_extent - 1), inside - static_cast<float>(low)};
}

}  // namespace

void PoolWindows(const Pool& op, Operand x, const Shape& output, float* y) {
  const Window& w = op.window;
  const int64_t height = x.shape[1];
  const int64_t width = x.shape[2];
  for (int64_t c = 0; c < output[0]; ++c) {
    const float* map = x.data + c * height * width;
    for (int64_t oy = 0; oy < output[1]; ++oy) {
      for (int64_t ox = 0; ox < output[2]; ++ox) {
        float largest = -std::numeric_limits<float>::infinity();
        double sum = 0;
        int64_t inside = 0;
        int64_t padded = 0;  // positions inside the image or its padding; ceil_mode windows may reach beyond both
        for (int64_t ky = 0; ky < w.kernel[0]; ++ky) {
          const int64_t iy = oy * w.stride[0] - w.pad_before[0] + ky * w.dilation[0];
          for (int64_t kx = 0; kx < w.kernel[1]; ++kx) {
            const int64_t ix = ox * w.stride[1] - w.pad_before[1] + kx * w.dilation[1];
            padded += iy < height + w.pad_after[0] && ix < width + w.pad_after[1];
            if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
            ++inside;
            largest = std::max(largest, map[iy * width + ix]);
            sum += map[iy * width + ix];
          }
        }
        const int64_t count = op.count_include_pad ? padded : inside;
        *y++ = op.kind == PoolKind::kMax ? largest : static_cast<float>(sum / static_cast<double>(count));
      }
    }
  }
}

void MeanOfMaps(Operand x, float* y) {
  const int64_t pixels = x.shape.InnerElements(0);
  for (int64_t c = 0; c < x.shape[0]; ++c) {
    double sum = 0;
    for (int64_t i = c * pixels; i < (c + 1) * pixels; ++i) sum += x.data[i];
    y[c] = static_cast<float>(sum / static_cast<double>(pixels));
  }
}

void ResizeMaps(const Resize& op, Operand x, float* y, RowRange rows) {
  const int64_t height = x.shape[1];
  const int64_t width = x.shape[2];
  // Columns in pieces that fit on the stack: their taps are found once for all rows, and an input row that several
  // output rows share is mixed along its columns once.
  constexpr int64_t kPiece = 256;
  for (int64_t first = 0; first < op.width; first += kPiece) {
    const int64_t columns = std::min(kPiece, op.width - first);
    Tap taps[kPiece];
    for (int64_t i = 0; i < columns; ++i) taps[i] = TapOf(op, first + i, width, op.width, op.scale_width);
    float mixed[2][kPiece];
    const float* mixed_rows[2] = {nullptr, nullptr};
    const auto mix_columns = [&](const float* row, size_t slot) {
      if (mixed_rows[slot] == row) return;
      mixed_rows[slot] = row;
      for (int64_t i = 0; i < columns; ++i) {
        mixed[slot][i] = row[taps[i].low] * (1 - taps[i].mix) + row[taps[i].high] * taps[i].mix;
      }
    };
    for (int64_t row = rows.begin; row < rows.end; ++row) {
      const float* map = x.data + row / op.height * height * width;
      const Tap v = TapOf(op, row % op.height, height, op.height, op.scale_height);
      // Rows alternate between the slots, so that the lower one is still there when it has become the upper one.
      const auto upper = static_cast<size_t>(v.low % 2);
      const size_t lower = v.high == v.low ? upper : 1 - upper;
      mix_columns(map + v.low * width, upper);
      mix_columns(map + v.high * width, lower);
      float* target = y + row * op.width + first;
      for (int64_t i = 0; i < columns; ++i) target[i] = mixed[upper][i] * (1 - v.mix) + mixed[lower][i] * v.mix;
    }
  }
}

}  // namespace bitstage::float_kernels
