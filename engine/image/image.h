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

// PNG of every kind, and 8-bit JPEG, baseline or progressive, grey or three components (CMYK and YCCK are refused by
// name). 16-bit samples keep their high byte, alpha is dropped without blending, EXIF orientation is ignored, palettes
// give their colours. The whole file is walked before anything is decoded (engine/image/container.h): INVALID_ARGUMENT
// for what is not an image, is truncated or damaged, RESOURCE_EXHAUSTED for what is over a limit, saying what was
// expected and found. Thread-safe.
absl::StatusOr<Image> DecodeImage(std::span<const std::byte> encoded, ColorOrder order, const ImageLimits& limits = {});

// Geometry and normalisation as declared, into C x H x W floats. Images smaller than the target are enlarged. Resizing
// is by engine/image/resample.h: bilinear with the support of a reduction, Lanczos for kCropSquare. INVALID_ARGUMENT
// where `preprocessing` makes no sense, the image has other channels, or output.size() is not C·H·W.
absl::Status PreprocessInto(const Image& image, const Preprocessing& preprocessing, std::span<float> output);

}  // namespace bitstage
