// MemoryPlan: slots, the pieces of memory that values live in, and their places in one arena by lifetime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace bitstage {

// Memory of one image for one value, for the values of one concatenation, or for something in between.
struct Slot {
  enum class Home : uint8_t {
    kArena,   // `offset` bytes into the image's arena
    kInput,   // the caller's array of graph input `index`
    kOutput,  // the session's array of graph output `index`
  };
  Home home = Home::kArena;
  size_t index = 0;
  size_t bytes = 0;
  size_t offset = 0;
};

// When a slot is needed: the first and the last step that touch it, both included. first > last: never.
struct Lifetime {
  int64_t first = INT64_MAX;
  int64_t last = -1;
  void Touch(int64_t step) {
    first = first < step ? first : step;
    last = last > step ? last : step;
  }
};

// Sets the offsets of the arena's slots and returns the arena's size: largest first, each at the lowest offset where it
// meets no other that lives at the same time. Slots start on 64-byte boundaries and end with 64 bytes of slack, which
// kernels may read.
size_t PlanArena(std::span<Slot> slots, std::span<const Lifetime> lifetimes);

}  // namespace bitstage
