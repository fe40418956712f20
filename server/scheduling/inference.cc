#include "server/scheduling/inference.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/image/image.h"

namespace bitstage::server {
namespace {

Image ImageAt(const PixelImages& source, int64_t index) {
  Image image{.width = source.width, .height = source.height, .channels = source.channels, .pixels = {}};
  const size_t area = static_cast<size_t>(source.height) * static_cast<size_t>(source.width);
  const size_t channels = static_cast<size_t>(source.channels);
  const std::span<const uint8_t> pixels = source.pixels.subspan(static_cast<size_t>(index) * area * channels);
  if (!source.channels_first) {
    image.pixels.assign(pixels.begin(), pixels.begin() + static_cast<std::ptrdiff_t>(area * channels));
    return image;
  }
  image.pixels.resize(area * channels);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t i = 0; i < area; ++i) image.pixels[i * channels + c] = pixels[c * area + i];
  }
  return image;
}

// Of what an image becomes.
Shape InputShape(const Preprocessing& preprocessing) {
  return {preprocessing.channels(), preprocessing.height, preprocessing.width};
}

// The images of one input, one after the other, into `staging`.
absl::Status Stage(const InputSource& source, int64_t batch, const Preprocessing& preprocessing,
                   const RequestState& state, MappedBuffer& staging) {
  const auto step = static_cast<size_t>(InputShape(preprocessing).elements());
  for (int64_t i = 0; i < batch; ++i) {
    BITSTAGE_RETURN_IF_ERROR(state.Check());
    const std::span<float> output(reinterpret_cast<float*>(staging.data()) + static_cast<size_t>(i) * step, step);
    absl::Status status;
    if (const auto* encoded = std::get_if<EncodedImages>(&source)) {
      absl::StatusOr<Image> image = DecodeImage(encoded->images[static_cast<size_t>(i)], preprocessing.color);
      status = image.ok() ? PreprocessInto(*image, preprocessing, output) : image.status();
    } else {
      const PixelImages& pixels = std::get<PixelImages>(source);
      // With the channels first the image has the input's own size: nothing to resize or crop.
      Preprocessing rule = preprocessing;
      if (pixels.channels_first) rule.geometry = Geometry::kStretch;
      status = PreprocessInto(ImageAt(pixels, i), rule, output);
    }
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("image ", i, " of ", batch, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunInference(const InferenceRequest& request, const std::optional<Preprocessing>& preprocessing,
                          const RequestState& state, const Clock& clock, Session& session,
                          std::span<MappedBuffer> staging, RunDurations& durations) {
  const Clock::TimePoint begin = clock.Now();
  std::vector<TensorView> inputs;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    if (const auto* tensor = std::get_if<TensorView>(&request.inputs[i])) {
      inputs.push_back(*tensor);
      continue;
    }
    BITSTAGE_RETURN_IF_ERROR(Stage(request.inputs[i], request.batch, *preprocessing, state, staging[i]));
    inputs.push_back({DataType::kFloat32, InputShape(*preprocessing).WithOuter(request.batch), staging[i].data()});
  }
  const Clock::TimePoint decoded = clock.Now();
  durations.decode = decoded - begin;
  const absl::Status status = session.Run(request.batch, inputs, Cancellation([&state] { return state.Check(); }));
  durations.compute = clock.Now() - decoded;
  return status;
}

}  // namespace bitstage::server
