// Executable: a quantized model made ready to run, and Session: what one request at a time runs it with.
//
//   ASSIGN_OR_RETURN(auto executable, Executable::Compile(std::move(model), {}));
//   Session session(executable, /*max_batch=*/8, &pool);
//   RETURN_IF_ERROR(session.Run(2, {{images.View()}}, Cancellation::None()));
//   std::span<const float> logits = session.Output(0).Span<float>();
//
// Inputs and outputs, by the graph value they stand for:
//   * no grid on an output: float32 (int64 for ArgMax), [batch] + the value's per-image shape, as in ONNX;
//   * an input takes float32 [batch] + per-image shape and is quantized on the value's grid, or, at a stage boundary,
//     UINT8 codes in code layout;
//   * an output that carries a grid (a stage boundary) gives UINT8 codes in code layout: [batch] H x W x C for a
//     C x H x W value, [batch] K for a value of rank 1.
// The bits of every output depend on the model file and the input alone: not on the tier, the threads or the batch.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/isa.h"
#include "engine/base/thread_pool.h"
#include "engine/graph/model.h"
#include "engine/runtime/step_info.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// Asked between two layers. Thread-safe if the callable is.
class Cancellation {
 public:
  // OK to go on; DEADLINE_EXCEEDED or CANCELLED to stop with that status.
  using Check = std::function<absl::Status()>;
  explicit Cancellation(Check check) : check_(std::move(check)) {}
  static const Cancellation& None();
  [[nodiscard]] absl::Status Poll() const { return check_ ? check_() : absl::OkStatus(); }

 private:
  Check check_;
};

struct TensorSpec {
  std::string name;
  DataType type = DataType::kFloat32;
  Shape shape;  // per image; code layout for codes
};

struct MemoryUse {
  size_t weight_bytes = 0;            // packed for this tier, in whole pages, scales, tables and the graph included
  size_t arena_bytes_per_image = 0;   // of a session
  size_t output_bytes_per_image = 0;  // of a session
  size_t scratch_bytes = 0;           // of each thread of a session, for one image at a time
  size_t batch_scratch_bytes = 0;     // … for several: mapped, and taken by the batches that need it
};

struct CompileOptions {
  std::optional<Isa> isa;      // absent: ChooseIsa()
  ThreadPool* pool = nullptr;  // shares the packing of weights; only while it compiles
  // For a model without the codes of its weights: fills `codes`, those of the constant, of weights equal to it in all
  // else, with what Validate takes. Asked layer by layer, by several threads at a time; what it refuses, Compile does.
  std::function<absl::Status(ConstantId, WeightCodes&)> read_codes = nullptr;
};

class Executable {
 public:
  // Keeps weights as the kernels pack them and of `model` all but their codes: let go of it to have its memory back.
  // INVALID_ARGUMENT for a float model ("quantize it first") or one that fails validation.
  static absl::StatusOr<std::shared_ptr<const Executable>> Compile(std::shared_ptr<const Model> model,
                                                                   const CompileOptions& options);
  ~Executable();

  [[nodiscard]] const Model& model() const;  // without the codes of its weights
  [[nodiscard]] Isa isa() const;
  [[nodiscard]] const std::vector<TensorSpec>& inputs() const;
  [[nodiscard]] const std::vector<TensorSpec>& outputs() const;
  [[nodiscard]] const MemoryUse& memory() const;
  [[nodiscard]] const std::vector<StepInfo>& steps() const;

  struct Plan;  // engine/runtime only
  [[nodiscard]] const Plan& plan() const { return *plan_; }

 private:
  explicit Executable(std::unique_ptr<Plan> plan);
  std::unique_ptr<Plan> plan_;
};

// Owns the arena and the outputs. One thread at a time; many sessions may share an executable and a pool.
class Session {
 public:
  // pool may be null (everything on the calling thread) and must outlive the session.
  Session(std::shared_ptr<const Executable> executable, int64_t max_batch, ThreadPool* pool);
  ~Session();
  Session(Session&&) noexcept;

  // 1 <= batch <= max_batch; inputs in the order of Executable::inputs(). Allocates nothing, unless the graph has a
  // weighted layer that must run in float (docs/integer-arithmetic.md §3), which takes scratch memory while it runs.
  // INVALID_ARGUMENT naming the tensor, what was expected and found; or what `cancellation` said.
  absl::Status Run(int64_t batch, std::span<const TensorView> inputs, const Cancellation& cancellation);

  // The result of the last successful Run, valid until the next; shape [batch] + per-image shape.
  [[nodiscard]] TensorView Output(size_t index) const;

  // Nanoseconds of each step of the last Run, where profiling is on.
  void EnableProfiling();
  [[nodiscard]] std::span<const int64_t> StepNanoseconds() const;

  [[nodiscard]] size_t arena_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bitstage
