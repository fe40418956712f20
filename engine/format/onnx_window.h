// The attributes that convolutions and pools share: kernel_shape, strides, dilations, pads and auto_pad.
#pragma once

#include <array>

#include "absl/status/statusor.h"
#include "engine/format/onnx_translation.h"
#include "engine/graph/ops.h"

namespace bitstage {

enum class OnnxAutoPad { kNotSet, kSameUpper, kSameLower, kValid };

struct OnnxWindow {
  Window window;  // padding as in `pads`; zero where auto_pad decides
  OnnxAutoPad auto_pad = OnnxAutoPad::kNotSet;
};

// `kernel`: the weights' extents, or zeros where kernel_shape must be given (pools). All entries are within the limits
// of engine/graph/window_shape.h.
absl::StatusOr<OnnxWindow> ReadOnnxWindow(OnnxTranslation& node, std::array<int64_t, 2> kernel);

// The window of a convolution or pool over an input of `height` x `width`, auto_pad resolved.
Window ResolveAutoPad(const OnnxWindow& read, int64_t height, int64_t width);

// Two integers of a list attribute, or `otherwise`; each in [least, kMaxWindowExtent].
absl::StatusOr<std::array<int64_t, 2>> ReadPair(OnnxTranslation& node, absl::string_view name,
                                                std::array<int64_t, 2> otherwise, int64_t least);

}  // namespace bitstage
