#include "engine/runtime/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "engine/base/aligned_buffer.h"

namespace bitstage {
namespace {

size_t PaddedBytes(const Slot& slot) { return (slot.bytes + 2 * kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

size_t PlanArena(std::span<Slot> slots, std::span<const Lifetime> lifetimes) {
  std::vector<size_t> order;
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].home == Slot::Home::kArena && lifetimes[i].first <= lifetimes[i].last) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return slots[a].bytes > slots[b].bytes; });

  size_t arena = 0;
  std::vector<size_t> placed;  // by rising offset
  for (const size_t i : order) {
    size_t offset = 0;
    for (const size_t other : placed) {
      const bool together = lifetimes[i].first <= lifetimes[other].last && lifetimes[other].first <= lifetimes[i].last;
      if (!together) continue;
      if (slots[other].offset >= offset + PaddedBytes(slots[i])) break;
      offset = std::max(offset, slots[other].offset + PaddedBytes(slots[other]));
    }
    slots[i].offset = offset;
    arena = std::max(arena, offset + PaddedBytes(slots[i]));
    const auto after = std::upper_bound(placed.begin(), placed.end(), offset,
                                        [&](size_t value, size_t at) { return value < slots[at].offset; });
    placed.insert(after, i);
  }
  return arena;
}

}  // namespace bitstage
