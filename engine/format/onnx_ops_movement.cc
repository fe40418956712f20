// What moves elements: concatenation, padding, slices.
#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/format/onnx_operators.h"

namespace bitstage::onnx_ops {
namespace {

// Begin, step and extent along every axis of a full shape.
struct Ranges {
  std::vector<int64_t> begin;
  std::vector<int64_t> step;
  Shape extent;
};

Ranges WholeOf(const Shape& shape) {
  const auto rank = static_cast<size_t>(shape.rank());
  return {std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 1), shape};
}

// Binds the slice of input 0.
absl::Status BindSlice(OnnxTranslation& node, size_t output, const Ranges& ranges) {
  if (node.IsConstant(0)) {
    BITSTAGE_ASSIGN_OR_RETURN(const OnnxConstant constant, node.Constant(0));
    return node.BindConstant(output, node.folder().Slice(*constant, ranges.begin, ranges.step, ranges.extent));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(0));
  if (ranges.begin[0] != 0 || ranges.extent[0] != node.batch() || (ranges.step[0] != 1 && node.batch() != 1)) {
    return node.Unsupported("slices the batch axis");
  }
  Slice slice{{ranges.begin.begin() + 1, ranges.begin.end()},
              {ranges.step.begin() + 1, ranges.step.end()},
              {ranges.extent.begin() + 1, ranges.extent.end()}};
  for (size_t axis = 0; axis < slice.extent.size(); ++axis) {
    if (slice.extent[axis] == 1) slice.step[axis] = 1;
    if (slice.step[axis] < 0) return node.Unsupported(absl::StrCat("steps backwards along axis ", axis + 1));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId value, node.Emit(std::move(slice), std::vector<ValueId>{input}, output, ""));
  return node.Bind(output, OnnxValue{nullptr, value, std::nullopt});
}

// ONNX's rules for bounds: negative ones count from the end, then both are clamped to the axis.
void SetRange(Ranges& ranges, int axis, int64_t start, int64_t end, int64_t step) {
  const int64_t length = ranges.extent[axis];
  const auto bound = [length](int64_t at, int64_t low, int64_t high) {
    return std::clamp(at < 0 ? at + length : at, low, high);
  };
  const int64_t first = step > 0 ? bound(start, 0, length) : bound(start, 0, length - 1);
  const int64_t last = step > 0 ? bound(end, 0, length) : bound(end, -1, length - 1);
  const int64_t span = step > 0 ? last - first : first - last;
  // −(step + 1) + 1 cannot overflow where −step would.
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : static_cast<uint64_t>(-(step + 1)) + 1;
  const auto index = static_cast<size_t>(axis);
  ranges.extent[axis] = span <= 0 ? 0 : static_cast<int64_t>((static_cast<uint64_t>(span) - 1) / stride) + 1;
  ranges.begin[index] = ranges.extent[axis] == 0 ? 0 : first;
  ranges.step[index] = step;
}

absl::StatusOr<Shape> FullShapeOfInput(OnnxTranslation& node) {
  BITSTAGE_ASSIGN_OR_RETURN(const OnnxValue* value, node.Input(0));
  return node.FullShape(*value);
}

absl::StatusOr<int> Axis(OnnxTranslation& node, int64_t axis, int rank) {
  const absl::StatusOr<int> normalized = NormalizeAxis(axis, rank);
  if (!normalized.ok()) return node.Annotate(normalized.status());
  return *normalized;
}

// The lengths of the parts that a Split makes of an axis of `extent`.
absl::StatusOr<std::vector<int64_t>> PartLengths(OnnxTranslation& node, int64_t extent) {
  BITSTAGE_ASSIGN_OR_RETURN(auto lengths, node.IntsOrInput("split", 1, 13));
  const auto parts = static_cast<int64_t>(node.node().outputs.size());
  int64_t declared = parts;
  if (node.opset() >= 18) {
    BITSTAGE_ASSIGN_OR_RETURN(declared, node.Int("num_outputs", parts));
  }
  if (!lengths) {
    const int64_t part = DivideRoundUp(extent, parts);
    lengths.emplace(static_cast<size_t>(parts), part);
    lengths->back() = extent - part * (parts - 1);
  }
  int64_t sum = 0;
  for (const int64_t length : *lengths) {
    const std::optional<int64_t> next = CheckedAdd(sum, length);
    if (!next || length < 1) return node.Invalid(absl::StrCat("a part of ", length, " entries"));
    sum = *next;
  }
  if (sum != extent || std::ssize(*lengths) != parts || declared != parts) {
    return node.Invalid(absl::StrCat("splits ", extent, " entries into ", lengths->size(), " parts of ", sum,
                                     " in all, for ", parts, " outputs"));
  }
  return *std::move(lengths);
}

}  // namespace

absl::Status TranslateConcat(OnnxTranslation& node) {
  if (node.node().inputs.empty()) return node.Invalid("has no inputs");
  BITSTAGE_ASSIGN_OR_RETURN(const Shape in, FullShapeOfInput(node));
  if (node.Find("axis") == nullptr) return node.Invalid("attribute 'axis' is missing");
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t attribute, node.Int("axis", 0));
  BITSTAGE_ASSIGN_OR_RETURN(const int axis, Axis(node, attribute, in.rank()));
  const size_t count = node.node().inputs.size();
  if (node.AllConstant()) {
    std::vector<OnnxConstant> owners(count);
    std::vector<const Tensor*> parts(count);
    for (size_t i = 0; i < count; ++i) {
      BITSTAGE_ASSIGN_OR_RETURN(owners[i], node.Constant(i));
      parts[i] = owners[i].get();
    }
    return node.BindConstant(0, node.folder().Concat(parts, axis));
  }
  if (axis == 0) return node.Unsupported("attribute 'axis' is the batch axis");
  std::vector<ValueId> inputs(count);
  for (size_t i = 0; i < count; ++i) {
    BITSTAGE_ASSIGN_OR_RETURN(inputs[i], node.Activation(i));
  }
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId value, node.Emit(Concat{axis - 1}, std::move(inputs), 0, ""));
  return node.Bind(0, OnnxValue{nullptr, value, std::nullopt});
}

absl::Status TranslatePad(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 4));
  BITSTAGE_ASSIGN_OR_RETURN(const ValueId input, node.Activation(0));
  const int rank = node.ShapeOf(input).rank();
  BITSTAGE_ASSIGN_OR_RETURN(const std::string mode, node.String("mode", "constant"));
  if (mode != "constant") return node.Unsupported("attribute 'mode' is not 'constant'");
  BITSTAGE_ASSIGN_OR_RETURN(const auto pads, node.IntsOrInput("pads", 1, 11));
  Pad pad;
  if (node.opset() < 11) {
    BITSTAGE_ASSIGN_OR_RETURN(pad.value, node.Float("value", 0));
  } else if (node.Has(2)) {
    BITSTAGE_ASSIGN_OR_RETURN(pad.value, node.FloatScalar(2));
  }
  BITSTAGE_ASSIGN_OR_RETURN(auto axes, node.Integers(3));
  if (!axes) {
    axes.emplace();
    for (int axis = 0; axis <= rank; ++axis) axes->push_back(axis);
  }
  const size_t count = axes->size();
  if (!pads || pads->size() != 2 * count) {
    return node.Invalid(absl::StrCat("pads have ", pads ? pads->size() : 0, " entries, expected ", 2 * count));
  }
  std::vector<int64_t> before(static_cast<size_t>(rank) + 1);
  std::vector<int64_t> after(before.size());
  for (size_t i = 0; i < count; ++i) {
    BITSTAGE_ASSIGN_OR_RETURN(const int axis, Axis(node, (*axes)[i], rank + 1));
    before[static_cast<size_t>(axis)] = (*pads)[i];
    after[static_cast<size_t>(axis)] = (*pads)[i + count];
  }
  if (before[0] != 0 || after[0] != 0) return node.Unsupported("pads the batch axis");
  if (std::any_of(pads->begin(), pads->end(), [](int64_t entry) { return entry < 0; })) {
    return node.Unsupported("pads by a negative number (crops)");
  }
  pad.before.assign(before.begin() + 1, before.end());
  pad.after.assign(after.begin() + 1, after.end());
  return node.EmitOutput(std::move(pad), {input});
}

absl::Status TranslateSlice(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 5));
  BITSTAGE_ASSIGN_OR_RETURN(const Shape in, FullShapeOfInput(node));
  BITSTAGE_ASSIGN_OR_RETURN(const auto starts, node.IntsOrInput("starts", 1, 10));
  BITSTAGE_ASSIGN_OR_RETURN(const auto ends, node.IntsOrInput("ends", 2, 10));
  BITSTAGE_ASSIGN_OR_RETURN(auto axes, node.IntsOrInput("axes", 3, 10));
  BITSTAGE_ASSIGN_OR_RETURN(auto steps, node.Integers(4));
  if (!starts || !ends) return node.Invalid("starts or ends are missing");
  if (!axes) {
    axes.emplace();
    for (size_t i = 0; i < starts->size(); ++i) axes->push_back(static_cast<int64_t>(i));
  }
  if (!steps) steps.emplace(starts->size(), 1);
  if (ends->size() != starts->size() || axes->size() != starts->size() || steps->size() != starts->size()) {
    return node.Invalid("starts, ends, axes and steps differ in length");
  }
  Ranges ranges = WholeOf(in);
  std::vector<bool> seen(static_cast<size_t>(in.rank()));
  for (size_t i = 0; i < axes->size(); ++i) {
    BITSTAGE_ASSIGN_OR_RETURN(const int axis, Axis(node, (*axes)[i], in.rank()));
    if (seen[static_cast<size_t>(axis)]) return node.Invalid(absl::StrCat("axes name axis ", axis, " twice"));
    seen[static_cast<size_t>(axis)] = true;
    if ((*steps)[i] == 0) return node.Invalid(absl::StrCat("the step along axis ", axis, " is 0"));
    SetRange(ranges, axis, (*starts)[i], (*ends)[i], (*steps)[i]);
  }
  return BindSlice(node, 0, ranges);
}

absl::Status TranslateSplit(OnnxTranslation& node) {
  BITSTAGE_RETURN_IF_ERROR(node.CheckInputCount(1, 2));
  BITSTAGE_ASSIGN_OR_RETURN(const Shape in, FullShapeOfInput(node));
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t attribute, node.Int("axis", 0));
  BITSTAGE_ASSIGN_OR_RETURN(const int axis, Axis(node, attribute, in.rank()));
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, PartLengths(node, in[axis]));
  int64_t begin = 0;
  for (size_t output = 0; output < lengths.size(); ++output) {
    Ranges ranges = WholeOf(in);
    ranges.begin[static_cast<size_t>(axis)] = begin;
    ranges.extent[axis] = lengths[output];
    begin += lengths[output];
    if (node.node().outputs[output].empty()) continue;
    BITSTAGE_RETURN_IF_ERROR(BindSlice(node, output, ranges));
  }
  return absl::OkStatus();
}

}  // namespace bitstage::onnx_ops
