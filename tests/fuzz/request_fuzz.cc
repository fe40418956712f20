// The inference request: bytes as they come from the wire, alone or merged into a request that fits the model (so that
// small changes reach the checks at the end). What is taken must keep its promises, and every byte it names must be
// there.
#include <algorithm>
#include <array>
#include <numeric>

#include "server/services/infer_request.h"
#include "server/services/status.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/server/request_samples.h"

namespace bitstage::server {
namespace {

using inference::ModelInferRequest;

const std::array<ModelInferRequest, 5>& Bases() {
  static const std::array<ModelInferRequest, 5> bases = [] {
    ModelInferRequest typed = RequestOf("UINT8", {1, 1, 1, 3});
    for (const uint32_t value : {0u, 1u, 255u}) typed.mutable_inputs(0)->mutable_contents()->add_uint_contents(value);
    return std::array{ModelInferRequest(), FloatRequest(), RawRequest("UINT8", {1, 2, 2, 3}, std::string(12, 'p')),
                      RawRequest("BYTES", {2}, BytesElement("one") + BytesElement("two")), typed};
  }();
  return bases;
}

uint64_t Sum(const void* bytes, size_t size) {
  const auto* begin = static_cast<const uint8_t*>(bytes);
  return std::accumulate(begin, begin + size, uint64_t{0});
}

// Reads all that the request names; the sanitizers say whether it is there.
uint64_t Touch(const InferenceRequest& request) {
  uint64_t sum = 0;
  for (const InputSource& input : request.inputs) {
    if (const auto* tensor = std::get_if<TensorView>(&input)) {
      FUZZ_CHECK(tensor->shape[0] == request.batch);
      sum += Sum(tensor->data, tensor->bytes());
    } else if (const auto* pixels = std::get_if<PixelImages>(&input)) {
      const int64_t image = int64_t{pixels->height} * pixels->width * pixels->channels;
      FUZZ_CHECK(static_cast<uint64_t>(request.batch * image) == pixels->pixels.size());
      sum += Sum(pixels->pixels.data(), pixels->pixels.size());
    } else {
      const auto& images = std::get<EncodedImages>(input).images;
      FUZZ_CHECK(static_cast<uint64_t>(request.batch) == images.size());
      for (const auto& image : images) sum += Sum(image.data(), image.size());
    }
  }
  return sum;
}

void Check(const ModelInferRequest& message, const ModelInterface& model) {
  const absl::StatusOr<InferenceRequest> request = ParseInferRequest(message, model);
  if (!request.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(request.status()) || absl::IsUnimplemented(request.status()));
    FUZZ_CHECK(ToGrpcStatus(request.status()).error_message().size() <= 1024);
    return;
  }
  FUZZ_CHECK(request->batch >= 1 && request->batch <= model.max_batch);
  FUZZ_CHECK(request->inputs.size() == model.inputs.size());
  FUZZ_CHECK(!request->outputs.empty() && request->outputs.size() <= model.outputs.size());
  for (const RequestedOutput& output : request->outputs) {
    FUZZ_CHECK(output.index < model.outputs.size());
    FUZZ_CHECK(!output.classes || (*output.classes >= 1 && *output.classes <= 5));
  }
  FUZZ_CHECK(Touch(*request) != UINT64_MAX);
}

}  // namespace

void FuzzRequest(const uint8_t* data, size_t size) {
  static const ModelInterface model = SampleModel();
  ModelInferRequest message = Bases()[data[0] % Bases().size()];
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  (void)RequestedVersion(bytes);
  if (message.MergeFromString(bytes)) Check(message, model);
}

}  // namespace bitstage::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) bitstage::server::FuzzRequest(data, size);
  return 0;
}
