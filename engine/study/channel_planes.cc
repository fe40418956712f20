#include "engine/study/channel_planes.h"

#include "engine/quant/dqa.h"
#include "engine/reference/float_ops.h"

namespace bitstage {

void QuantizeOnline(const ChannelPlanes& planes, int64_t c, int bits) {
  const double step = DqaStep(planes.MaxAbs(c), bits);
  for (int64_t n = 0; n < planes.images; ++n) {
    for (float& x : planes.Of(n, c)) x = static_cast<float>(step * UniformCode(x, step, Levels::Signed(bits)));
  }
}

void QuantizeNoisily(const ChannelPlanes& planes, int64_t c, int bits, std::span<const float> noise) {
  const double step = DqaStep(planes.MaxAbs(c), bits);
  for (int64_t n = 0; n < planes.images; ++n) {
    const std::span<float> plane = planes.Of(n, c);
    for (size_t i = 0; i < plane.size(); ++i) {
      const double shift = step * noise[static_cast<size_t>(c * planes.inner) + i];
      plane[i] = static_cast<float>(step * UniformCode(plane[i] + shift, step, Levels::Signed(bits)) - shift);
    }
  }
}

void SnapImages(const Grid& grid, Tensor& value) {
  const Shape image(value.shape().begin() + 1, value.shape().end());
  const auto elements = static_cast<size_t>(image.elements());
  for (size_t begin = 0; begin < value.Span<float>().size(); begin += elements) {
    SnapToGrid(grid, image, value.Span<float>().subspan(begin, elements));
  }
}

std::vector<double> ChannelMeans(const ChannelPlanes& planes) {
  std::vector<double> means;
  for (int64_t c = 0; c < planes.channels; ++c) {
    double sum = 0;
    for (int64_t n = 0; n < planes.images; ++n) {
      for (const float x : planes.Of(n, c)) sum += x;
    }
    means.push_back(sum / static_cast<double>(planes.images * planes.inner));
  }
  return means;
}

void AddOffsets(const ChannelPlanes& planes, std::span<const float> offsets) {
  for (size_t c = 0; c < offsets.size(); ++c) {
    for (int64_t n = 0; n < planes.images; ++n) {
      for (float& x : planes.Of(n, static_cast<int64_t>(c))) x += offsets[c];
    }
  }
}

}  // namespace bitstage
