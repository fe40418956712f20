// ChannelPlanes: the values of a batch by channel, and what a study does to them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor/grid.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// Channel c of image n in a tensor [images] x C x inner.
struct ChannelPlanes {
  explicit ChannelPlanes(Tensor& value)
      : data(value.Span<float>()),
        images(value.shape()[0]),
        channels(value.shape().rank() > 1 ? value.shape()[1] : 1),
        inner(value.shape().elements() / (images * channels)) {}
  [[nodiscard]] std::span<float> Of(int64_t n, int64_t c) const {
    return data.subspan(static_cast<size_t>((n * channels + c) * inner), static_cast<size_t>(inner));
  }
  [[nodiscard]] double MaxAbs(int64_t c) const {
    float largest = 0;
    for (int64_t n = 0; n < images; ++n) {
      for (const float x : Of(n, c)) largest = std::max(largest, std::abs(x));
    }
    return largest;
  }

  std::span<float> data;
  int64_t images, channels, inner;
};

// The DQA paper's quantizer with the scale of this batch.
void QuantizeOnline(const ChannelPlanes& planes, int64_t c, int bits);
// NoisyQuant (Liu et al., CVPR 2023) on the same grid: x̂ = Q(x + noise) − noise, the noise fixed once, one an element
// of an image, in units of the step and within half of one.
void QuantizeNoisily(const ChannelPlanes& planes, int64_t c, int bits, std::span<const float> noise);
// Every image of [n] + a shape to `grid`.
void SnapImages(const Grid& grid, Tensor& value);

std::vector<double> ChannelMeans(const ChannelPlanes& planes);
// offsets: one a channel, or none.
void AddOffsets(const ChannelPlanes& planes, std::span<const float> offsets);

}  // namespace bitstage
