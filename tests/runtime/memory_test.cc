#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <set>

#include "engine/base/aligned_buffer.h"
#include "engine/runtime/executable.h"
#include "engine/runtime/mapped_buffer.h"
#include "engine/runtime/memory_plan.h"
#include "tests/runtime/executable_testing.h"
#include "tests/runtime/random_network.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

// What the engine calls in place of these (--wrap of the linker).
extern "C" {
void* __real_malloc(size_t size);
void* __real_calloc(size_t count, size_t size);
void* __real_realloc(void* memory, size_t size);
void* __real_aligned_alloc(size_t alignment, size_t size);
void* __real_mmap(void* at, size_t size, int protection, int flags, int file, off_t offset);

void* __wrap_malloc(size_t size) {
  allocations.fetch_add(1);
  return __real_malloc(size);
}
void* __wrap_calloc(size_t count, size_t size) {
  allocations.fetch_add(1);
  return __real_calloc(count, size);
}
void* __wrap_realloc(void* memory, size_t size) {
  allocations.fetch_add(1);
  return __real_realloc(memory, size);
}
void* __wrap_aligned_alloc(size_t alignment, size_t size) {
  allocations.fetch_add(1);
  return __real_aligned_alloc(alignment, size);
}
void* __wrap_mmap(void* at, size_t size, int protection, int flags, int file, off_t offset) {
  allocations.fetch_add(1);
  return __real_mmap(at, size, protection, flags, file, offset);
}
}

namespace {
// Both of these count.
void* CountedNew(size_t size, size_t alignment) noexcept {
  return alignment <= alignof(std::max_align_t)
             ? std::malloc(size)
             : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* OrThrow(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

void* operator new(size_t size) { return OrThrow(CountedNew(size, 1)); }
void* operator new(size_t size, const std::nothrow_t&) noexcept { return CountedNew(size, 1); }
void* operator new(size_t size, std::align_val_t alignment) {
  return OrThrow(CountedNew(size, static_cast<size_t>(alignment)));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }

namespace bitstage {
namespace {

// A layer with weights that must run in float takes scratch memory while it runs (Session::Run).
bool HasFloatWeights(const Executable& executable) {
  return std::any_of(executable.steps().begin(), executable.steps().end(),
                     [](const StepInfo& step) { return step.macs > 0 && step.weights == 0; });
}

TEST(SteadyStateTest, RunAndOutputAllocateNothing) {
  int checked = 0;
  for (const unsigned seed : {1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 201u}) {
    const auto model = ModelOf(RandomNetwork(seed).Make(9, seed > 200 ? 48 : 10));
    const Tensor images = ImagesFor(model->graph, 2, seed);
    for (const Isa isa : SupportedIsas()) {
      const auto executable = CompileOrDie(model, isa);
      ASSERT_NE(executable, nullptr);
      if (HasFloatWeights(*executable)) continue;
      ++checked;
      ThreadPool pool(2);
      Session session(executable, 2, &pool);
      const TensorView inputs[] = {images.View()};
      const Cancellation cancellation([] { return absl::OkStatus(); });
      ASSERT_TRUE(session.Run(2, inputs, cancellation).ok());
      const int64_t before = allocations.load();
      for (int repeat = 0; repeat < 3; ++repeat) {
        const absl::Status status = session.Run(2, inputs, cancellation);
        const TensorView output = session.Output(0);
        if (!status.ok() || output.data == nullptr) FAIL();
      }
      EXPECT_EQ(allocations.load(), before) << "seed " << seed << " on " << Name(isa);
    }
  }
  EXPECT_GE(checked, 6);
}

TEST(SteadyStateTest, WhatAllocatesIsCounted) {
  const int64_t before = allocations.load();
  void* volatile memory = ::operator new(100);  // volatile: compilers may leave out what nobody looks at
  ::operator delete(memory);
  const AlignedBuffer aligned(100);
  memory = const_cast<std::byte*>(aligned.data());
  const MappedBuffer mapped(100);
  memory = const_cast<std::byte*>(mapped.data());
  EXPECT_EQ(allocations.load(), before + 3);
}

TEST(PlanArenaTest, SlotsThatLiveTogetherDoNotOverlapAndHaveSlack) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    std::vector<Slot> slots(1 + random() % 20);
    std::vector<Lifetime> lifetimes(slots.size());
    size_t sum = 0;
    for (size_t i = 0; i < slots.size(); ++i) {
      slots[i].bytes = random() % 1000;
      lifetimes[i].Touch(static_cast<int64_t>(random() % 10));
      lifetimes[i].Touch(static_cast<int64_t>(random() % 10));
      sum += slots[i].bytes + 2 * kAlignment;
    }
    const size_t arena = PlanArena(slots, lifetimes);
    EXPECT_LE(arena, sum);
    for (size_t i = 0; i < slots.size(); ++i) {
      EXPECT_EQ(slots[i].offset % kAlignment, 0u);
      EXPECT_LE(slots[i].offset + slots[i].bytes + kAlignment, arena);
      for (size_t j = 0; j < i; ++j) {
        const bool together = lifetimes[i].first <= lifetimes[j].last && lifetimes[j].first <= lifetimes[i].last;
        const bool apart = slots[i].offset >= slots[j].offset + slots[j].bytes + kAlignment ||
                           slots[j].offset >= slots[i].offset + slots[i].bytes + kAlignment;
        EXPECT_TRUE(apart || !together) << "seed " << seed << ", slots " << i << " and " << j;
      }
    }
  }
}

TEST(PlanArenaTest, AChainNeedsTwoNeighboursAtATime) {
  std::vector<Slot> slots(50);
  std::vector<Lifetime> lifetimes(slots.size());
  for (size_t i = 0; i < slots.size(); ++i) {
    slots[i].bytes = 640 - kAlignment;
    lifetimes[i].Touch(static_cast<int64_t>(i));
    lifetimes[i].Touch(static_cast<int64_t>(i) + 1);
  }
  EXPECT_EQ(PlanArena(slots, lifetimes), 1280u);
}

TEST(PlanArenaTest, OnlyTheArenasSlotsTakeRoom) {
  std::vector<Slot> slots = {{.home = Slot::Home::kOutput, .bytes = 100}, {.home = Slot::Home::kInput, .bytes = 100}};
  std::vector<Lifetime> lifetimes(2);
  for (Lifetime& lifetime : lifetimes) lifetime.Touch(0);
  EXPECT_EQ(PlanArena(slots, lifetimes), 0u);
}

// A dense block: every layer reads all before it. One grid, so no code is ever
// copied for a concatenation.
TEST(ConcatTest, PartsWithTheConcatenationsGridAreWrittenInPlace) {
  GraphBuilder b(5);
  const Grid grid = {.step = {0.05f}};
  const auto coded = [&](ValueId id) {
    b.graph().value(id).grid = grid;
    return id;
  };
  ValueId all = coded(b.Input({4, 6, 6}));
  for (int64_t channels = 4; channels < 24; channels += 4) {
    Conv conv = b.MakeConv({channels, 6, 6}, 4, 3, 1, 1);
    conv.weights = b.Codes(PatternCodes({4, channels, 3, 3}, 3, 0.02f));
    all = coded(b.Add(Concat{0}, {all, coded(b.Add(conv, {all}))}));
  }
  const auto model = ModelOf(b.Finish({b.Add(Unary{}, {all})}));
  const auto executable = CompileOrDie(model);
  for (const StepInfo& step : executable->steps()) EXPECT_NE(step.op, "Concat") << step.kernel;

  const Tensor image = ImagesFor(model->graph, 1, 9);
  Session session(executable, 1, nullptr);
  ASSERT_TRUE(session.Run(1, {{image.View()}}, Cancellation::None()).ok());
  const std::span<const float> reals = image.Span<float>();
  const std::vector<float> inputs[] = {{reals.begin(), reals.end()}};
  EXPECT_EQ(OutputBytes(session, 0, 0), ExpectedBytes(model->graph, EvaluateGraph(model->graph, inputs), 0));
}

}  // namespace
}  // namespace bitstage
