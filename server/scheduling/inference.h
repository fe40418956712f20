// InferenceRequest: what a client asked for, after every refusal (server/services/infer_request.h makes it), and
// RunInference, which answers it on a worker: decode, preprocess, compute. Plain data; nothing here is checked again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "engine/runtime/executable.h"
#include "engine/runtime/mapped_buffer.h"
#include "engine/tensor/preprocessing.h"
#include "engine/tensor/tensor.h"
#include "server/scheduling/request_state.h"

namespace bitstage::server {

// 8-bit images of one size: [batch, height, width, channels], or with the channels first.
struct PixelImages {
  bool channels_first = false;
  int height = 0;
  int width = 0;
  int channels = 0;
  std::span<const uint8_t> pixels;
};

// JPEG or PNG, one an element of the batch.
struct EncodedImages {
  std::vector<std::span<const std::byte>> images;
};

// A tensor goes to the model as it is; images are preprocessed as the model declares.
using InputSource = std::variant<TensorView, PixelImages, EncodedImages>;

struct RequestedOutput {
  size_t index = 0;                // of Executable::outputs()
  std::optional<int64_t> classes;  // present: the classification of the k highest, 1 <= k <= number of classes
};

// Borrows the bytes of the message it was made from, except what had to be converted.
struct InferenceRequest {
  int64_t batch = 0;
  std::vector<InputSource> inputs;  // in the order of Executable::inputs()
  std::vector<RequestedOutput> outputs;
  std::vector<std::vector<uint8_t>> converted;  // what `inputs` borrows and the message does not hold
};

struct RunDurations {
  std::chrono::nanoseconds decode{0};
  std::chrono::nanoseconds compute{0};
};

// Afterwards the outputs are in `session`. `staging` has, by input, room for a batch of its floats where images become
// them; `preprocessing` must be present where the request has images. INVALID_ARGUMENT for an image that cannot be
// decoded (its number and why), or what `state` said.
absl::Status RunInference(const InferenceRequest& request, const std::optional<Preprocessing>& preprocessing,
                          const RequestState& state, const Clock& clock, Session& session,
                          std::span<MappedBuffer> staging, RunDurations& durations);

}  // namespace bitstage::server
