// How this room looks at libtorch's tensors: floats, dense, channels innermost.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace bitstage {

// The floats of a tensor, which is dense: in the order that they lie in.
inline std::span<float> Values(const at::Tensor& t) { return {t.data_ptr<float>(), static_cast<size_t>(t.numel())}; }

// A positive number that is learned by its logarithm.
inline float FromLog(float logarithm) { return std::max(std::exp(logarithm), std::numeric_limits<float>::min()); }

// Channels innermost: the format of maps, and of vectors as they are.
inline at::Tensor Dense(const at::Tensor& t) {
  return t.dim() == 4 ? t.contiguous(at::MemoryFormat::ChannelsLast) : t.contiguous();
}

}  // namespace bitstage
