// Label maps: images whose pixels are class numbers, the ground truth of segmentation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/image/image.h"

namespace bitstage {

// By convention: the pixel belongs to no class and does not count.
inline constexpr uint8_t kIgnoreLabel = 255;

// The indices of an indexed PNG (its colours do not matter), or the values of an 8-bit grey one; one channel.
// Errors as DecodeImage.
absl::StatusOr<Image> DecodeLabelMap(std::span<const std::byte> encoded, const ImageLimits& limits = {});

// The geometry that PreprocessInto gives the picture, by nearest neighbour; what is padded there is kIgnoreLabel here.
// Requires output.size() == H·W of `preprocessing`.
absl::Status PreprocessLabelMapInto(const Image& map, const Preprocessing& preprocessing, std::span<uint8_t> output);

}  // namespace bitstage
