#include "engine/image/resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace bitstage {
namespace {

// Weights are fixed-point with this many fractional bits: |weight| < 2 and 8-bit pixels leave room for the sum in
// int32.
constexpr int kFraction = 22;
constexpr int32_t kHalf = 1 << (kFraction - 1);

double Sinc(double x) { return x == 0.0 ? 1.0 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x); }

double Support(Filter filter) { return filter == Filter::kTriangle ? 1.0 : 3.0; }

double Weight(Filter filter, double x) {
  if (std::abs(x) >= Support(filter)) return 0.0;
  return filter == Filter::kTriangle ? 1.0 - std::abs(x) : Sinc(x) * Sinc(x / 3.0);
}

// What one output pixel reads: weights[first_weight + i] of source pixel begin + i.
struct Taps {
  int begin = 0;
  int count = 0;
  size_t first_weight = 0;
};

struct AxisFilter {
  std::vector<Taps> taps;
  std::vector<int32_t> weights;
};

AxisFilter MakeAxisFilter(const AxisMapping& axis, Filter filter) {
  const double scale = static_cast<double>(axis.source_size) / axis.size;
  const double stretch = std::max(scale, 1.0);
  const double inverse = 1.0 / stretch;
  const double support = Support(filter) * stretch;
  AxisFilter result;
  std::vector<double> exact;
  for (int i = axis.begin; i < axis.begin + axis.count; ++i) {
    const double centre = (i + 0.5) * scale;
    const int begin = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int end = std::min(static_cast<int>(centre + support + 0.5), axis.source_size);
    exact.clear();
    double sum = 0.0;
    for (int s = begin; s < end; ++s) {
      exact.push_back(Weight(filter, (s - centre + 0.5) * inverse));
      sum += exact.back();
    }
    result.taps.push_back({axis.source_begin + begin, end - begin, result.weights.size()});
    for (const double weight : exact) {
      result.weights.push_back(static_cast<int32_t>(std::round(weight / sum * (1 << kFraction))));
    }
  }
  return result;
}

uint8_t ToPixel(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFraction, 0, 255)); }

template <int kChannels>
void FilterRow(const uint8_t* source, const AxisFilter& filter, uint8_t* target) {
  for (const Taps& taps : filter.taps) {
    int32_t sums[kChannels];
    std::fill_n(sums, kChannels, kHalf);
    const uint8_t* pixel = source + static_cast<ptrdiff_t>(taps.begin) * kChannels;
    const int32_t* weight = &filter.weights[taps.first_weight];
    for (int i = 0; i < taps.count; ++i, pixel += kChannels) {
      for (int c = 0; c < kChannels; ++c) sums[c] += weight[i] * pixel[c];
    }
    for (int c = 0; c < kChannels; ++c) *target++ = ToPixel(sums[c]);
  }
}

bool IsIdentity(const AxisMapping& axis) { return axis.size == axis.source_size; }

Image Crop(const Image& image, const AxisMapping& x, const AxisMapping& y) {
  Image result{x.count, y.count, image.channels, {}};
  const size_t row = static_cast<size_t>(x.count) * static_cast<size_t>(image.channels);
  result.pixels.reserve(row * static_cast<size_t>(y.count));
  for (int i = 0; i < y.count; ++i) {
    const size_t source_row = static_cast<size_t>(y.source_begin + y.begin + i);
    const size_t source_x = static_cast<size_t>(x.source_begin + x.begin);
    const auto first =
        image.pixels.begin() + static_cast<ptrdiff_t>((source_row * static_cast<size_t>(image.width) + source_x) *
                                                      static_cast<size_t>(image.channels));
    result.pixels.insert(result.pixels.end(), first, first + static_cast<ptrdiff_t>(row));
  }
  return result;
}

}  // namespace

Image Resample(const Image& image, const AxisMapping& x, const AxisMapping& y, Filter filter) {
  if (IsIdentity(x) && IsIdentity(y)) return Crop(image, x, y);
  const AxisFilter columns = MakeAxisFilter(x, filter);
  const AxisFilter rows = MakeAxisFilter(y, filter);

  // Along x first, for the rows that are read along y.
  const int first_row = rows.taps.front().begin;
  const int end_row = rows.taps.back().begin + rows.taps.back().count;
  const size_t source_stride = static_cast<size_t>(image.width) * static_cast<size_t>(image.channels);
  const size_t stride = static_cast<size_t>(x.count) * static_cast<size_t>(image.channels);
  std::vector<uint8_t> narrowed(stride * static_cast<size_t>(end_row - first_row));
  for (int row = first_row; row < end_row; ++row) {
    const uint8_t* source = &image.pixels[static_cast<size_t>(row) * source_stride];
    uint8_t* target = &narrowed[static_cast<size_t>(row - first_row) * stride];
    if (image.channels == 1) {
      FilterRow<1>(source, columns, target);
    } else {
      FilterRow<3>(source, columns, target);
    }
  }

  Image result{x.count, y.count, image.channels, std::vector<uint8_t>(stride * static_cast<size_t>(y.count))};
  std::vector<int32_t> sums(stride);
  for (size_t i = 0; i < rows.taps.size(); ++i) {
    const Taps& taps = rows.taps[i];
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int t = 0; t < taps.count; ++t) {
      const int32_t weight = rows.weights[taps.first_weight + static_cast<size_t>(t)];
      const uint8_t* source = &narrowed[static_cast<size_t>(taps.begin + t - first_row) * stride];
      for (size_t k = 0; k < stride; ++k) sums[k] += weight * source[k];
    }
    std::transform(sums.begin(), sums.end(), result.pixels.begin() + static_cast<ptrdiff_t>(i * stride), ToPixel);
  }
  return result;
}

Image ResampleNearest(const Image& image, const AxisMapping& x, const AxisMapping& y) {
  const auto source_of = [](const AxisMapping& axis, int i) {
    const int64_t centre = (2 * (int64_t{axis.begin} + i) + 1) * axis.source_size / (2 * int64_t{axis.size});
    return static_cast<size_t>(axis.source_begin + centre);
  };
  Image result{x.count, y.count, image.channels, {}};
  const size_t channels = static_cast<size_t>(image.channels);
  result.pixels.reserve(static_cast<size_t>(x.count) * static_cast<size_t>(y.count) * channels);
  for (int row = 0; row < y.count; ++row) {
    const size_t source_row = source_of(y, row) * static_cast<size_t>(image.width);
    for (int column = 0; column < x.count; ++column) {
      const auto first = image.pixels.begin() + static_cast<ptrdiff_t>((source_row + source_of(x, column)) * channels);
      result.pixels.insert(result.pixels.end(), first, first + image.channels);
    }
  }
  return result;
}

}  // namespace bitstage
