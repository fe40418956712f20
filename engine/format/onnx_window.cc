#include "engine/format/onnx_window.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/checked_math.h"
#include "engine/base/status_macros.h"
#include "engine/graph/window_shape.h"

namespace bitstage {
namespace {

absl::Status CheckEntries(const OnnxTranslation& node, absl::string_view name, const std::vector<int64_t>& entries,
                          size_t count, int64_t least) {
  const bool in_range = std::all_of(entries.begin(), entries.end(),
                                    [&](int64_t entry) { return entry >= least && entry <= kMaxWindowExtent; });
  if (entries.size() == count && in_range) return absl::OkStatus();
  return node.Invalid(
      absl::StrCat("attribute '", name, "' is [",
                   absl::StrJoin(entries.begin(), entries.begin() + std::min<int64_t>(8, std::ssize(entries)), ", "),
                   "], expected ", count, " integers from ", least, " to ", kMaxWindowExtent));
}

absl::StatusOr<OnnxAutoPad> ReadAutoPad(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const std::string text, node.String("auto_pad", "NOTSET"));
  if (text == "NOTSET" || text.empty()) return OnnxAutoPad::kNotSet;
  if (text == "SAME_UPPER") return OnnxAutoPad::kSameUpper;
  if (text == "SAME_LOWER") return OnnxAutoPad::kSameLower;
  if (text == "VALID") return OnnxAutoPad::kValid;
  return node.Invalid("attribute 'auto_pad' is none of NOTSET, SAME_UPPER, SAME_LOWER, VALID");
}

}  // namespace

absl::StatusOr<std::array<int64_t, 2>> ReadPair(OnnxTranslation& node, absl::string_view name,
                                                std::array<int64_t, 2> otherwise, int64_t least) {
  BITSTAGE_ASSIGN_OR_RETURN(const auto entries, node.Ints(name));
  if (!entries) return otherwise;
  BITSTAGE_RETURN_IF_ERROR(CheckEntries(node, name, *entries, 2, least));
  return std::array{(*entries)[0], (*entries)[1]};
}

absl::StatusOr<OnnxWindow> ReadOnnxWindow(OnnxTranslation& node, std::array<int64_t, 2> kernel) {
  OnnxWindow read;
  BITSTAGE_ASSIGN_OR_RETURN(read.window.kernel, ReadPair(node, "kernel_shape", kernel, 1));
  if (read.window.kernel[0] == 0) return node.Invalid("attribute 'kernel_shape' is missing");
  BITSTAGE_ASSIGN_OR_RETURN(read.window.stride, ReadPair(node, "strides", {1, 1}, 1));
  BITSTAGE_ASSIGN_OR_RETURN(read.window.dilation, ReadPair(node, "dilations", {1, 1}, 1));
  BITSTAGE_ASSIGN_OR_RETURN(read.auto_pad, ReadAutoPad(node));
  BITSTAGE_ASSIGN_OR_RETURN(const auto pads, node.Ints("pads"));
  if (pads && read.auto_pad == OnnxAutoPad::kNotSet) {
    BITSTAGE_RETURN_IF_ERROR(CheckEntries(node, "pads", *pads, 4, 0));
    read.window.pad_before = {(*pads)[0], (*pads)[1]};
    read.window.pad_after = {(*pads)[2], (*pads)[3]};
  }
  return read;
}

Window ResolveAutoPad(const OnnxWindow& read, int64_t height, int64_t width) {
  Window window = read.window;
  if (read.auto_pad == OnnxAutoPad::kNotSet || read.auto_pad == OnnxAutoPad::kValid) return window;
  for (size_t axis = 0; axis < 2; ++axis) {
    const int64_t in = axis == 0 ? height : width;
    const int64_t last = (DivideRoundUp(in, window.stride[axis]) - 1) * window.stride[axis];
    const int64_t total = std::max<int64_t>(0, last + DilatedKernel(window, axis) - in);
    const int64_t smaller = total / 2;
    window.pad_before[axis] = read.auto_pad == OnnxAutoPad::kSameUpper ? smaller : total - smaller;
    window.pad_after[axis] = total - window.pad_before[axis];
  }
  return window;
}

}  // namespace bitstage
