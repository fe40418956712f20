#include "engine/runtime/placement.h"

#include <algorithm>

#include "engine/runtime/move_step.h"

namespace bitstage {
namespace {

int64_t PixelStride(const Value& value) { return value.grid ? CodeLayout::Of(value.shape).channels : 0; }

}  // namespace

int Placement::AddSlot(size_t bytes, Slot::Home home, size_t index) {
  slots.push_back({.home = home, .index = index, .bytes = bytes});
  return static_cast<int>(slots.size() - 1);
}

size_t StoredBytes(const Value& value) {
  return static_cast<size_t>(value.shape.elements()) * (value.grid ? 1 : SizeOf(value.type));
}

bool IsChannelConcat(const Graph& graph, const Node& node) {
  const auto* concat = std::get_if<Concat>(&node.op);
  const Value& whole = graph.value(node.output);
  if (concat == nullptr || concat->axis != 0 || !whole.grid || CodeLayout::Of(whole.shape).grid_by_pixel) return false;
  return std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](ValueId id) { return graph.value(id).grid.has_value(); });
}

bool FitsUnchanged(const Value& part, const Value& whole, int64_t channel) {
  for (int64_t c = 0; c < part.shape[0]; ++c) {
    if (!MovesUnchanged(*part.grid, c, *whole.grid, channel + c)) return false;
  }
  return true;
}

Placement Placement::Of(const Graph& graph) {
  Placement result;
  result.places.resize(graph.values.size());
  const auto place_of = [&](ValueId id) -> Place& { return result.places[static_cast<size_t>(id)]; };
  const auto place_alone = [&](ValueId id, Slot::Home home, size_t index) {
    const Value& value = graph.value(id);
    place_of(id) = {.slot = result.AddSlot(StoredBytes(value), home, index), .pixel_stride = PixelStride(value)};
  };

  for (size_t i = 0; i < graph.outputs.size(); ++i) place_alone(graph.outputs[i], Slot::Home::kOutput, i);
  // Backwards: a concatenation inside another one has its place before its own parts ask for theirs.
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (place_of(node->output).slot < 0) place_alone(node->output, Slot::Home::kArena, 0);
    if (!IsChannelConcat(graph, *node)) continue;
    int64_t channel = 0;
    for (const ValueId id : node->inputs) {
      const Value& part = graph.value(id);
      if (place_of(id).slot < 0 && FitsUnchanged(part, graph.value(node->output), channel)) {
        place_of(id) = ChannelSlice(place_of(node->output), channel);
      }
      channel += part.shape[0];
    }
  }
  for (const ValueId id : graph.inputs) {
    if (place_of(id).slot < 0) place_alone(id, Slot::Home::kArena, 0);
  }
  return result;
}

}  // namespace bitstage
