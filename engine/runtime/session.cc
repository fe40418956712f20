#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/runtime/executable.h"
#include "engine/runtime/mapped_buffer.h"
#include "engine/runtime/plan.h"

namespace bitstage {
namespace {

// A share of a step that is worth waking a thread for.
constexpr double kMinShareNanoseconds = 20'000;
constexpr int64_t kMaxSharesPerThread = 3;
// A share of fewer rows reads the layer's weights too often for what it computes, and may cut a pair of rows in two,
// which Winograd convolutions compute together.
constexpr int64_t kGoodShareRows = 8;

// Rows a share, at least `least`: as equal a load for all threads as whole rows allow, in several shares a thread where
// that costs little, so that a thread that comes late finds less to do.
int64_t ShareRows(int64_t rows, int64_t threads, int64_t least) {
  int64_t best = 0;
  int64_t best_load = 0;
  for (int64_t shares = 1; shares <= kMaxSharesPerThread; ++shares) {
    const int64_t share = std::max(least, DivideRoundUp(rows, shares * threads));
    const int64_t load = DivideRoundUp(DivideRoundUp(rows, share), threads) * share;
    if (best != 0 && (load > best_load || (load == best_load && share < kGoodShareRows))) continue;
    best = share;
    best_load = load;
  }
  return best;
}

bool IsBatchOf(const Shape& shape, int64_t batch, const Shape& per_image) {
  return shape.rank() == per_image.rank() + 1 && shape[0] == batch &&
         std::equal(per_image.begin(), per_image.end(), shape.begin() + 1);
}

absl::Status CheckCodes(absl::string_view name, const CodeOperand& operand, std::span<const uint8_t> codes) {
  const CodeLayout& layout = operand.layout;
  size_t i = 0;
  while (i < codes.size()) {
    for (int64_t pixel = 0; pixel < layout.pixels(); ++pixel) {
      for (int64_t c = 0; c < layout.channels; ++c, ++i) {
        const int64_t channel = layout.grid_by_pixel ? pixel : c;
        const int shift = operand.grid->ShiftOf(channel);
        if (codes[i] >> shift <= operand.grid->MaxSymbol(channel) && codes[i] >> shift << shift == codes[i]) continue;
        return absl::InvalidArgumentError(absl::StrCat("input '", name, "': code ", static_cast<int>(codes[i]),
                                                       " at byte ", i, " is not on the grid of channel ", channel));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

const Cancellation& Cancellation::None() {
  static const Cancellation* const kNone = new Cancellation(nullptr);
  return *kNone;
}

struct Session::State {
  State(std::shared_ptr<const Executable> made, int64_t most, ThreadPool* workers)
      : executable(std::move(made)),
        plan(executable->plan()),
        max_batch(std::max<int64_t>(1, most)),
        pool(workers),
        arena(plan.memory.arena_bytes_per_image * static_cast<size_t>(max_batch)),
        bases(plan.slots.size()),
        strides(plan.slots.size()) {
    const size_t scratch_bytes = max_batch > 1 ? plan.memory.batch_scratch_bytes : plan.memory.scratch_bytes;
    for (int i = 0; i < (pool == nullptr ? 1 : pool->threads()); ++i) {
      scratch.emplace_back(scratch_bytes).Populate(plan.memory.scratch_bytes);
    }
    for (const TensorSpec& spec : plan.outputs) {
      const auto elements = static_cast<size_t>(spec.shape.elements() * max_batch);
      outputs.emplace_back(elements * SizeOf(spec.type));
    }
    for (size_t i = 0; i < plan.slots.size(); ++i) {
      const Slot& slot = plan.slots[i];
      if (slot.home == Slot::Home::kArena) {
        bases[i] = arena.data() + slot.offset;
        strides[i] = plan.memory.arena_bytes_per_image;
      } else if (slot.home == Slot::Home::kOutput) {
        bases[i] = outputs[slot.index].data();
        strides[i] = slot.bytes;
      }
    }
  }

  // No clock is asked unless for a profile.
  [[nodiscard]] std::chrono::steady_clock::time_point Now() const {
    return nanoseconds.empty() ? std::chrono::steady_clock::time_point() : std::chrono::steady_clock::now();
  }
  [[nodiscard]] static int64_t NanosecondsSince(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
  }
  absl::Status CheckInputs(int64_t count, std::span<const TensorView> inputs) const;
  void BindInput(const InputPlan& input, const TensorView& view);
  void RunStep(const Step& step, size_t index);
  // The early steps; false where they are better done like the others.
  bool RunEarlySteps(size_t first_index, const Cancellation& cancellation);

  std::shared_ptr<const Executable> executable;
  const Executable::Plan& plan;
  int64_t max_batch;
  ThreadPool* pool;
  MappedBuffer arena;
  std::vector<MappedBuffer> outputs;
  std::vector<MappedBuffer> scratch;  // by worker
  std::vector<std::byte*> bases;      // by slot
  std::vector<size_t> strides;
  int64_t batch = 0;
  std::vector<int64_t> nanoseconds;  // empty: no profiling
};

absl::Status Session::State::CheckInputs(int64_t count, std::span<const TensorView> inputs) const {
  if (count < 1 || count > max_batch) {
    return absl::InvalidArgumentError(absl::StrCat("a batch of ", count, ", expected 1 to ", max_batch));
  }
  if (inputs.size() != plan.inputs.size()) {
    return absl::InvalidArgumentError(absl::StrCat(inputs.size(), " inputs, expected ", plan.inputs.size()));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorView& view = inputs[i];
    const TensorSpec& spec = plan.inputs[i];
    const InputPlan& input = plan.input_plans[i];
    const bool is_codes = view.type == DataType::kUInt8;
    const bool fits = is_codes ? IsBatchOf(view.shape, count, CodeShape(input.shape))
                               : view.type == DataType::kFloat32 && IsBatchOf(view.shape, count, input.shape);
    if (!fits || view.data == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("input '", spec.name, "' is ", Name(view.type), " ",
                                                     view.shape.ToString(), view.data == nullptr ? " without data" : "",
                                                     ", expected ", Name(spec.type), " ",
                                                     spec.shape.WithOuter(count).ToString()));
    }
    if (is_codes) BITSTAGE_RETURN_IF_ERROR(CheckCodes(spec.name, input.codes, view.Span<uint8_t>()));
  }
  return absl::OkStatus();
}

// Input slots are only read: steps see one kind of pointer.
void Session::State::BindInput(const InputPlan& input, const TensorView& view) {
  const auto slot = static_cast<size_t>(input.slot);
  bases[slot] = const_cast<std::byte*>(static_cast<const std::byte*>(view.data));
  strides[slot] = view.bytes() / static_cast<size_t>(batch);
}

void Session::State::RunStep(const Step& step, size_t index) {
  const auto start = Now();
  const Step::Traits& traits = step.traits();
  const int64_t images = traits.all_images ? batch : 1;
  const double unit_nanoseconds = traits.row_nanoseconds * static_cast<double>(images);
  const int64_t units = batch / images * traits.rows;
  const auto body = [&](int64_t begin, int64_t end, int worker) {
    while (begin < end) {
      const int64_t row = begin % traits.rows;
      const int64_t row_end = std::min(traits.rows, row + end - begin);
      const Frame frame(bases.data(), strides.data(), begin / traits.rows, images);
      step.Run(frame, row, row_end, scratch[static_cast<size_t>(worker)].data());
      begin += row_end - row;
    }
  };
  if (pool == nullptr || pool->threads() == 1 ||
      static_cast<double>(units) * unit_nanoseconds < 2 * kMinShareNanoseconds) {
    body(0, units, 0);
  } else {
    const auto least = static_cast<int64_t>(std::ceil(kMinShareNanoseconds / unit_nanoseconds));
    pool->ParallelFor(units, ShareRows(units, pool->threads(), least), body);
  }
  if (!nanoseconds.empty()) nanoseconds[index] = NanosecondsSince(start);
}

bool Session::State::RunEarlySteps(size_t first_index, const Cancellation& cancellation) {
  const int64_t threads = pool == nullptr ? 1 : pool->threads();
  if (batch == 1 || batch % threads != 0 || (threads > 1 && !nanoseconds.empty())) return false;
  for (size_t i = 0; i < plan.early_steps && !nanoseconds.empty(); ++i) nanoseconds[first_index + i] = 0;
  const auto body = [&](int64_t begin, int64_t end, int worker) {
    for (int64_t image = begin; image < end && cancellation.Poll().ok(); ++image) {
      const Frame frame(bases.data(), strides.data(), image, 1);
      for (size_t i = 0; i < plan.early_steps; ++i) {
        const Step& step = *plan.steps[i];
        const auto start = Now();
        step.Run(frame, 0, step.traits().rows, scratch[static_cast<size_t>(worker)].data());
        if (!nanoseconds.empty()) nanoseconds[first_index + i] += NanosecondsSince(start);
      }
    }
  };
  if (threads == 1) {
    body(0, batch, 0);
  } else {
    pool->ParallelFor(batch, 1, body);
  }
  return true;
}

Session::Session(std::shared_ptr<const Executable> executable, int64_t max_batch, ThreadPool* pool)
    : state_(std::make_unique<State>(std::move(executable), max_batch, pool)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

absl::Status Session::Run(int64_t batch, std::span<const TensorView> inputs, const Cancellation& cancellation) {
  State& state = *state_;
  BITSTAGE_RETURN_IF_ERROR(state.CheckInputs(batch, inputs));
  state.batch = batch;
  size_t index = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    BITSTAGE_RETURN_IF_ERROR(cancellation.Poll());
    const InputPlan& input = state.plan.input_plans[i];
    state.BindInput(input, inputs[i]);
    state.RunStep(inputs[i].type == DataType::kUInt8 ? *input.from_codes : *input.from_floats, index++);
  }
  const size_t early = state.RunEarlySteps(index, cancellation) ? state.plan.early_steps : 0;
  for (size_t i = early; i < state.plan.steps.size(); ++i) {
    BITSTAGE_RETURN_IF_ERROR(cancellation.Poll());
    state.RunStep(*state.plan.steps[i], index + i);
  }
  return absl::OkStatus();
}

TensorView Session::Output(size_t index) const {
  const TensorSpec& spec = state_->plan.outputs[index];
  return {spec.type, spec.shape.WithOuter(state_->batch), state_->outputs[index].data()};
}

void Session::EnableProfiling() { state_->nanoseconds.assign(state_->plan.infos.size(), 0); }
std::span<const int64_t> Session::StepNanoseconds() const { return state_->nanoseconds; }
size_t Session::arena_bytes() const { return state_->arena.size(); }

}  // namespace bitstage
