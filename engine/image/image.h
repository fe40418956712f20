// Images: from encoded bytes nobody vouches for to the network's input. The only room that includes OpenCV.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/tensor/preprocessing.h"
#include "engine/tensor/tensor.h"

namespace bitstage {

// 8-bit pixels, H x W x channels, in the colour order asked for.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<uint8_t> pixels;
};

struct ImageLimits {
  size_t max_encoded_bytes = size_t{32} << 20;
  int64_t max_pixels = int64_t{50} * 1000 * 1000;
};

// JPEG (grey, YCbCr; CMYK is converted or refused, never misread) and PNG. The header is parsed before anything is
// allocated: INVALID_ARGUMENT for what is not an image, is truncated, or is over a limit (RESOURCE_EXHAUSTED), saying
// which, what was expected and found.
absl::StatusOr<Image> DecodeImage(std::span<const std::byte> encoded, ColorOrder order, const ImageLimits& limits = {});

// Geometry and normalisation as declared, into C x H x W floats. Requires output.size() == C·H·W of `preprocessing`.
absl::Status PreprocessInto(const Image& image, const Preprocessing& preprocessing, std::span<float> output);

}  // namespace bitstage
