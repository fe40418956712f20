#include "engine/compression/grid_assignment.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/quant/activation_grids.h"
#include "engine/quant/dqa_importance.h"

namespace bitstage {
namespace {

constexpr int kEdgeBits = 8;  // network inputs and what feeds the last weighted layer

template <typename T>
bool IsPerTensor(const std::vector<T>& field) {
  return field.size() == 1;
}

bool IsPerTensor(const Grid& grid) {
  return IsPerTensor(grid.step) && IsPerTensor(grid.bits) && IsPerTensor(grid.shift);
}

// `pick` maps an output channel to the input channel it comes from, or −1 for a new one (padding).
template <typename T, typename Pick>
std::vector<T> Remap(const std::vector<T>& field, int64_t channels, Pick pick) {
  if (IsPerTensor(field)) return field;
  std::vector<T> mapped;
  mapped.reserve(static_cast<size_t>(channels));
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t from = pick(c);
    mapped.push_back(field[static_cast<size_t>(std::max<int64_t>(from, 0))]);
  }
  return mapped;
}

template <typename Pick>
Grid Remap(const Grid& grid, int64_t channels, Pick pick) {
  Grid mapped;
  mapped.zero_point = grid.zero_point;
  mapped.step = Remap(grid.step, channels, pick);
  mapped.bits = Remap(grid.bits, channels, pick);
  mapped.shift = Remap(grid.shift, channels, pick);
  return mapped;
}

template <typename T>
void AppendChannels(const std::vector<T>& field, int64_t channels, std::vector<T>& to) {
  for (int64_t c = 0; c < channels; ++c) to.push_back(IsPerTensor(field) ? field[0] : field[static_cast<size_t>(c)]);
}

template <typename T>
void CollapseIfEqual(std::vector<T>& field) {
  if (std::all_of(field.begin(), field.end(), [&](const T& entry) { return entry == field[0]; })) field.resize(1);
}

bool NonNegative(std::span<const Histogram> channels) {
  return std::all_of(channels.begin(), channels.end(), [](const Histogram& h) { return h.min() >= 0; });
}

// One step for the tensor (with a shift per channel where code_bits leaves room); the zero point at 0 where nothing is
// negative.
Grid UniformGrid(std::span<const Histogram> channels, int bits, int code_bits) {
  if (!NonNegative(channels)) return AffineGrid(channels, bits, ClipRule{});
  return UnsignedGrid(channels, bits, bits < code_bits ? StepKind::kPowerOfTwo : StepKind::kTensor, ClipRule{},
                      code_bits);
}

// step_a_channel: where nothing is negative, and but in the paper's grid, which has one anyway.
Grid GridFor(std::span<const Histogram> channels, const ActivationRecipe& recipe, bool step_a_channel) {
  const int n = recipe.bits;
  const int m = recipe.extra_bits;
  const auto important = [&](DqaMode mode) {
    return TopChannels(MseGains(channels, n, m, mode), recipe.important_share);
  };
  switch (recipe.method) {
    case ActivationMethod::kUniform:
    case ActivationMethod::kAdaptive: break;
    case ActivationMethod::kDqa:
      // A shift needs the zero at code 0; linear outputs, which have negative values, keep the wider width throughout.
      if (!NonNegative(channels)) return AffineGrid(channels, n + m, ClipRule{});
      return ServedDqaGrid(channels, important(DqaMode::kServed), n, m,
                           step_a_channel ? StepKind::kChannel : StepKind::kPowerOfTwo, ClipRule{}, recipe.code_bits);
    case ActivationMethod::kDqaPaper: {
      std::vector<double> max_abs;
      for (const Histogram& channel : channels) max_abs.push_back(channel.MaxAbs());
      return LiteralDqaGrid(max_abs, important(DqaMode::kLiteral), n, m);
    }
  }
  if (step_a_channel && NonNegative(channels)) return UnsignedGrid(channels, n, StepKind::kChannel, ClipRule{});
  return UniformGrid(channels, n, recipe.code_bits);
}

std::optional<Grid> ConcatenatedGrid(const Graph& graph, const Node& node) {
  Grid joined;
  joined.step.clear();
  joined.bits.clear();
  joined.shift.clear();
  joined.zero_point = graph.value(node.inputs[0]).grid->zero_point;
  for (const ValueId input : node.inputs) {
    const Value& value = graph.value(input);
    if (value.grid->zero_point != joined.zero_point) return std::nullopt;
    AppendChannels(value.grid->step, value.shape[0], joined.step);
    AppendChannels(value.grid->bits, value.shape[0], joined.bits);
    AppendChannels(value.grid->shift, value.shape[0], joined.shift);
  }
  CollapseIfEqual(joined.step);
  CollapseIfEqual(joined.bits);
  CollapseIfEqual(joined.shift);
  // A step per channel that was not chosen as such (by the paper's grid) would force folding on the consumers.
  const bool parts_per_tensor = std::all_of(node.inputs.begin(), node.inputs.end(),
                                            [&](ValueId input) { return IsPerTensor(graph.value(input).grid->step); });
  if (parts_per_tensor && !IsPerTensor(joined.step)) return std::nullopt;
  return joined;
}

bool MovesCodes(const Op& op) {
  if (const auto* pool = std::get_if<Pool>(&op)) return pool->kind == PoolKind::kMax;
  if (const auto* concat = std::get_if<Concat>(&op)) return concat->axis == 0;
  if (const auto* pad = std::get_if<Pad>(&op)) return pad->value == 0;
  if (const auto* resize = std::get_if<Resize>(&op)) return resize->mode == ResizeMode::kNearest;
  if (const auto* unary = std::get_if<Unary>(&op)) return unary->kind == UnaryKind::kIdentity;
  return std::holds_alternative<Slice>(op) || std::holds_alternative<Reshape>(op) ||
         std::holds_alternative<Transpose>(op);
}

// Values downstream of which a weighted layer lies.
std::vector<bool> CodedValues(const Graph& graph) {
  std::vector<bool> coded(graph.values.size(), false);
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    const bool needs_codes = WeightsOf(node->op) != kNoConstant || coded[static_cast<size_t>(node->output)];
    for (const ValueId input : node->inputs) {
      if (needs_codes && graph.value(input).type == DataType::kFloat32) coded[static_cast<size_t>(input)] = true;
    }
  }
  return coded;
}

// Groups of values that share step and zero point: those joined by nodes that move codes.
class Groups {
 public:
  Groups(const Graph& graph, const std::vector<bool>& coded) : parent_(graph.values.size()) {
    std::iota(parent_.begin(), parent_.end(), 0);
    for (const Node& node : graph.nodes) {
      if (!MovesCodes(node.op) || !coded[static_cast<size_t>(node.output)]) continue;
      for (const ValueId input : node.inputs) parent_[Find(input)] = Find(node.output);
    }
  }
  size_t Find(ValueId id) {
    auto at = static_cast<size_t>(id);
    while (parent_[at] != at) at = parent_[at] = parent_[parent_[at]];
    return at;
  }

 private:
  std::vector<size_t> parent_;
};

// Groups that weighted layers read, all of them depthwise convolutions.
std::vector<bool> DepthwiseGroups(const Graph& graph, Groups& groups) {
  std::vector<bool> depthwise(graph.values.size(), false);
  std::vector<bool> other(graph.values.size(), false);
  for (const Node& node : graph.nodes) {
    if (WeightsOf(node.op) == kNoConstant) continue;
    (IsDepthwise(graph, node.op) ? depthwise : other)[groups.Find(node.inputs[0])] = true;
  }
  for (size_t g = 0; g < depthwise.size(); ++g) depthwise[g] = depthwise[g] && !other[g];
  return depthwise;
}

// Graph outputs stay float: a coded one gets a copy.
void DetachOutputs(Graph& graph, const std::vector<bool>& coded) {
  for (ValueId& output : graph.outputs) {
    if (!coded[static_cast<size_t>(output)]) continue;
    Value copy = graph.value(output);
    copy.grid.reset();
    graph.value(output).name = absl::StrCat(copy.name, "/codes");
    const ValueId id = graph.AddValue(std::move(copy));
    graph.nodes.push_back({absl::StrCat(graph.value(id).name, "/dequantize"), Unary{}, {output}, id});
    output = id;
  }
}

// The values whose precision decides most for least: the inputs, and what feeds the last weighted layer.
std::vector<ValueId> EdgeValues(const Graph& graph) {
  std::vector<ValueId> edges = graph.inputs;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (WeightsOf(node->op) == kNoConstant) continue;
    edges.push_back(node->inputs[0]);
    break;
  }
  return edges;
}

}  // namespace

std::optional<Grid> MovedGrid(const Graph& graph, const Node& node) {
  if (!MovesCodes(node.op)) return std::nullopt;
  for (const ValueId input : node.inputs) {
    if (!graph.value(input).grid) return std::nullopt;
  }
  const Value& input = graph.value(node.inputs[0]);
  const Shape& shape = graph.value(node.output).shape;
  const Grid& grid = *input.grid;
  if (std::holds_alternative<Concat>(node.op)) return ConcatenatedGrid(graph, node);
  if (const auto* slice = std::get_if<Slice>(&node.op)) {
    return Remap(grid, shape[0], [&](int64_t c) { return slice->begin[0] + c * slice->step[0]; });
  }
  if (const auto* pad = std::get_if<Pad>(&node.op)) {
    return Remap(grid, shape[0], [&](int64_t c) {
      const int64_t from = c - pad->before[0];
      return from < input.shape[0] ? from : -1;
    });
  }
  const bool keeps_channels = std::holds_alternative<Reshape>(node.op)
                                  ? input.shape.rank() > 0 && shape.rank() > 0 && shape[0] == input.shape[0]
                              : std::holds_alternative<Transpose>(node.op)
                                  ? std::get<Transpose>(node.op).permutation[0] == 0
                                  : true;
  if (!keeps_channels && !IsPerTensor(grid)) return std::nullopt;
  return grid;
}

GridGroups GroupValues(const Graph& graph) {
  std::vector<bool> coded = CodedValues(graph);
  Groups groups(graph, coded);
  GridGroups result{.of_value = {}, .computed = {}, .fixed = std::vector<bool>(graph.values.size(), false)};
  for (size_t v = 0; v < graph.values.size(); ++v) {
    result.of_value.push_back(static_cast<int>(groups.Find(static_cast<ValueId>(v))));
  }
  for (const ValueId id : EdgeValues(graph)) result.fixed[groups.Find(id)] = true;
  for (const Node& node : graph.nodes) {
    if (MovesCodes(node.op)) coded[static_cast<size_t>(node.output)] = false;
  }
  result.computed = std::move(coded);
  return result;
}

absl::Status AssignGrids(Graph& graph, const Calibration& calibration, const ActivationRecipe& recipe,
                         const GroupRecipes& of_group, bool depthwise_steps) {
  const std::vector<bool> coded = CodedValues(graph);
  Groups groups(graph, coded);
  const GridGroups all = GroupValues(graph);
  // One grid a group, over the channels of all its values that are computed rather than moved, one after another.
  std::vector<std::vector<Histogram>> channels(graph.values.size());
  std::vector<int64_t> offset(graph.values.size(), 0);
  for (size_t v = 0; v < graph.values.size(); ++v) {
    if (!all.computed[v]) continue;
    std::vector<Histogram>& joined = channels[groups.Find(static_cast<ValueId>(v))];
    offset[v] = static_cast<int64_t>(joined.size());
    const std::vector<Histogram>& own = calibration.values[v].channels;
    joined.insert(joined.end(), own.begin(), own.end());
  }
  const std::vector<bool> depthwise =
      depthwise_steps ? DepthwiseGroups(graph, groups) : std::vector<bool>(graph.values.size(), false);
  const ActivationRecipe edge_recipe = {.bits = kEdgeBits, .code_bits = kEdgeBits};
  std::vector<std::optional<Grid>> group_grid(graph.values.size());
  for (size_t g = 0; g < graph.values.size(); ++g) {
    if (channels[g].empty()) continue;
    const auto own = of_group.find(static_cast<int>(g));
    const ActivationRecipe& rule = own != of_group.end() ? own->second : all.fixed[g] ? edge_recipe : recipe;
    group_grid[g] = GridFor(channels[g], rule, depthwise[g]);
  }
  const auto own_grid = [&](ValueId id) -> absl::StatusOr<Grid> {
    const std::optional<Grid>& grid = group_grid[groups.Find(id)];
    if (!grid) return absl::InternalError(absl::StrCat("value '", graph.value(id).name, "' was not calibrated"));
    // A moved value whose channels lost their axis cannot carry a grid by channel.
    if (!all.computed[static_cast<size_t>(id)]) return UniformGrid(channels[groups.Find(id)], kEdgeBits, kEdgeBits);
    const int64_t first = offset[static_cast<size_t>(id)];
    return Remap(*grid, graph.value(id).shape[0], [&](int64_t c) { return first + c; });
  };

  for (const ValueId input : graph.inputs) {
    if (coded[static_cast<size_t>(input)]) {
      BITSTAGE_ASSIGN_OR_RETURN(graph.value(input).grid, own_grid(input));
    }
  }
  for (const Node& node : graph.nodes) {
    if (!coded[static_cast<size_t>(node.output)]) continue;
    Value& output = graph.value(node.output);
    output.grid = MovedGrid(graph, node);
    if (output.grid) continue;
    BITSTAGE_ASSIGN_OR_RETURN(output.grid, own_grid(node.output));
  }
  DetachOutputs(graph, coded);
  return absl::OkStatus();
}

}  // namespace bitstage
