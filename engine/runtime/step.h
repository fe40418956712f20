// Step: one thing that a plan does for every image, over a range of rows; and Place, where its operands lie.
//
// Steps are made when a model is compiled (conv_step.h, code_steps.h, move_step.h, float_steps.h), know no batch and no
// threads, and are immutable: a session runs the rows of its images in any order on any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/runtime/step_info.h"

namespace bitstage {

// Where a value lies: a slot of the memory plan, and how far inside. Several values share a slot where a concatenation
// costs nothing: each has its own offset and all the stride of the widest.
struct Place {
  int slot = -1;
  size_t offset = 0;         // bytes
  int64_t pixel_stride = 0;  // elements from one pixel to the next; 0 for float and int64 values in ONNX layout

  friend bool operator==(const Place&, const Place&) = default;
};

// The memory of an image, and of those after it: a slot's address is its base plus image times its stride.
class Frame {
 public:
  Frame(std::byte* const* bases, const size_t* strides, int64_t image, int64_t images)
      : bases_(bases), strides_(strides), image_(static_cast<size_t>(image)), images_(images) {}

  template <typename T>
  [[nodiscard]] T* At(const Place& place) const {
    const auto slot = static_cast<size_t>(place.slot);
    return reinterpret_cast<T*>(bases_[slot] + image_ * strides_[slot] + place.offset);
  }
  // From one image to the next, in bytes.
  [[nodiscard]] int64_t Stride(const Place& place) const {
    return static_cast<int64_t>(strides_[static_cast<size_t>(place.slot)]);
  }
  [[nodiscard]] int64_t images() const { return images_; }

 private:
  std::byte* const* bases_;
  const size_t* strides_;
  size_t image_;
  int64_t images_;
};

class Step {
 public:
  // What the plan must know of a step.
  struct Traits {
    std::string kernel;  // for people, as are `shape` and `candidates`
    std::string shape;
    std::vector<KernelCandidate> candidates;
    std::vector<int> reads, writes;  // slots
    int64_t rows = 1;                // independent units of work: of one image, or of all of them
    bool all_images = false;         // … which is better where it is weights that take time
    double row_nanoseconds = 0;      // a rough guess: decides how rows are shared among threads
    size_t scratch_bytes = 0;        // of each thread, for one image at a time
    size_t batch_scratch_bytes = 0;  // … for several at once, where that is more
    size_t constant_bytes = 0;       // packed weights, scales, tables
    size_t packed_bytes = 0;         // of them weights, `weights` in number
    int64_t weights = 0;
  };

  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  [[nodiscard]] const Traits& traits() const { return traits_; }

  // What the step reads of weights first; and, once when the plan is made, what the steps after it do.
  [[nodiscard]] virtual std::span<const std::byte> FirstWeights() const { return {}; }
  virtual void LookAhead(std::span<const std::byte>) {}

  // Computes rows [row_begin, row_end) of the frame's image, or of all of its images. Thread-safe for rows that do not
  // overlap. Allocates nothing.
  virtual void Run(const Frame& frame, int64_t row_begin, int64_t row_end, std::byte* scratch) const = 0;

 protected:
  explicit Step(Traits traits) : traits_(std::move(traits)) {}

 private:
  Traits traits_;
};

}  // namespace bitstage
