// Placement: the slot and the place of every value of a graph.
//
// A value that a concatenation along the channels takes lives inside the concatenation's own memory where it can: it
// has a grid that is the matching part of the concatenation's, is no graph output, and lives in no other one.
#pragma once

#include <vector>

#include "engine/graph/graph.h"
#include "engine/runtime/code_layout.h"
#include "engine/runtime/memory_plan.h"

namespace bitstage {

struct Placement {
  std::vector<Place> places;  // by ValueId
  std::vector<Slot> slots;

  // Requires a validated graph.
  static Placement Of(const Graph& graph);
  int AddSlot(size_t bytes, Slot::Home home = Slot::Home::kArena, size_t index = 0);
};

// Bytes of one image of a value as the engine holds it alone: codes, float32 or int64.
size_t StoredBytes(const Value& value);

// A concatenation whose parts are, or become, channels of one value of codes: all have grids and a channel axis.
bool IsChannelConcat(const Graph& graph, const Node& node);

// Where part of a channel concatenation, from `channel` on, lies in the whole.
inline Place ChannelSlice(const Place& whole, int64_t channel) {
  return {whole.slot, whole.offset + static_cast<size_t>(channel), whole.pixel_stride};
}

// Do the codes of `part` keep their meaning as the channels of `whole` from `channel` on?
bool FitsUnchanged(const Value& part, const Value& whole, int64_t channel);

}  // namespace bitstage
