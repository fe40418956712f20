// The extents that sliding windows give, and the limits that windows from outside must keep.
//
// Errors are INVALID_ARGUMENT and name the attribute, what was expected and found; InferShape puts the node in front.
#pragma once

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "engine/graph/ops.h"

namespace bitstage {

// The largest kernel, stride, dilation and padding along one axis.
inline constexpr int64_t kMaxWindowExtent = 1 << 16;

using Extents = std::array<int64_t, 2>;  // height, width

// The positions a kernel spans: dilation · (kernel − 1) + 1.
inline int64_t DilatedKernel(const Window& window, size_t axis) {
  return window.dilation[axis] * (window.kernel[axis] - 1) + 1;
}

// Output extents (see Window and ConvTranspose in ops.h). Input extents are at least 1 and below 2^31.
absl::StatusOr<Extents> ConvExtents(const Window& window, Extents input);
absl::StatusOr<Extents> ConvTransposeExtents(const Window& window, Extents output_padding, Extents input);

// As Window says; refuses windows that hold no pixel of the image, whose maximum or mean would be undefined.
absl::StatusOr<Extents> PoolExtents(const Window& window, Extents input);

}  // namespace bitstage
