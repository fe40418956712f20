#include "engine/graph/window_shape.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

constexpr const char* kAxisNames[] = {"height", "width"};

absl::Status CheckRange(absl::string_view attribute, size_t axis, int64_t found, int64_t low, int64_t high) {
  if (found >= low && found <= high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(attribute, " along the ", kAxisNames[axis], " is ", found, ", expected ", low, " to ", high));
}

absl::Status CheckWindow(const Window& window) {
  for (size_t axis = 0; axis < 2; ++axis) {
    BITSTAGE_RETURN_IF_ERROR(CheckRange("kernel", axis, window.kernel[axis], 1, kMaxWindowExtent));
    BITSTAGE_RETURN_IF_ERROR(CheckRange("stride", axis, window.stride[axis], 1, kMaxWindowExtent));
    BITSTAGE_RETURN_IF_ERROR(CheckRange("dilation", axis, window.dilation[axis], 1, kMaxWindowExtent));
    BITSTAGE_RETURN_IF_ERROR(CheckRange("padding before", axis, window.pad_before[axis], 0, kMaxWindowExtent));
    BITSTAGE_RETURN_IF_ERROR(CheckRange("padding after", axis, window.pad_after[axis], 0, kMaxWindowExtent));
  }
  return absl::OkStatus();
}

// The positions left for the window's first tap beyond the first one; INVALID_ARGUMENT where the window does not fit.
absl::StatusOr<int64_t> Slack(const Window& window, size_t axis, int64_t input) {
  const int64_t padded = input + window.pad_before[axis] + window.pad_after[axis];
  const int64_t span = DilatedKernel(window, axis);
  if (padded < span) {
    return absl::InvalidArgumentError(absl::StrCat("the window spans ", span, " positions along the ", kAxisNames[axis],
                                                   ", the padded input has ", padded));
  }
  return padded - span;
}

// Every window must have a tap inside the image. Paddings are smaller than the window's span, so only windows that
// begin before the image can lack one: where dilation steps over a narrow image.
absl::Status CheckNoEmptyWindow(const Window& window, size_t axis, int64_t input, int64_t output) {
  const int64_t dilation = window.dilation[axis];
  for (int64_t i = 0; i < output; ++i) {
    const int64_t start = i * window.stride[axis] - window.pad_before[axis];
    if (start >= 0) break;
    const int64_t first = DivideRoundUp(-start, dilation);
    if (first >= window.kernel[axis] || start + first * dilation >= input) {
      return absl::InvalidArgumentError(absl::StrCat("the pooling window that begins at ", start, " along the ",
                                                     kAxisNames[axis], " holds no pixel of the image"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Extents> ConvExtents(const Window& window, Extents input) {
  BITSTAGE_RETURN_IF_ERROR(CheckWindow(window));
  if (window.ceil_mode) return absl::InvalidArgumentError("ceil_mode is for pooling only");
  Extents output;
  for (size_t axis = 0; axis < 2; ++axis) {
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t slack, Slack(window, axis, input[axis]));
    output[axis] = slack / window.stride[axis] + 1;
  }
  return output;
}

absl::StatusOr<Extents> ConvTransposeExtents(const Window& window, Extents output_padding, Extents input) {
  BITSTAGE_RETURN_IF_ERROR(CheckWindow(window));
  if (window.ceil_mode) return absl::InvalidArgumentError("ceil_mode is for pooling only");
  Extents output;
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t most = std::max(window.stride[axis], window.dilation[axis]) - 1;
    BITSTAGE_RETURN_IF_ERROR(CheckRange("output_padding", axis, output_padding[axis], 0, most));
    output[axis] = window.stride[axis] * (input[axis] - 1) + DilatedKernel(window, axis) + output_padding[axis] -
                   window.pad_before[axis] - window.pad_after[axis];
    if (output[axis] < 1) {
      return absl::InvalidArgumentError(absl::StrCat("the padding leaves ", output[axis], " positions along the ",
                                                     kAxisNames[axis], " of the output"));
    }
  }
  return output;
}

absl::StatusOr<Extents> PoolExtents(const Window& window, Extents input) {
  BITSTAGE_RETURN_IF_ERROR(CheckWindow(window));
  Extents output;
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t span = DilatedKernel(window, axis);
    BITSTAGE_RETURN_IF_ERROR(CheckRange("padding before", axis, window.pad_before[axis], 0, span - 1));
    BITSTAGE_RETURN_IF_ERROR(CheckRange("padding after", axis, window.pad_after[axis], 0, span - 1));
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t slack, Slack(window, axis, input[axis]));
    const int64_t stride = window.stride[axis];
    output[axis] = (window.ceil_mode ? DivideRoundUp(slack, stride) : slack / stride) + 1;
    if (window.ceil_mode && (output[axis] - 1) * stride >= input[axis] + window.pad_before[axis]) --output[axis];
    BITSTAGE_RETURN_IF_ERROR(CheckNoEmptyWindow(window, axis, input[axis], output[axis]));
  }
  return output;
}

}  // namespace bitstage
