// Preprocessing: how a picture becomes the network's input, as the model file declares it.
//
// Done in this order, all of it reproducible bit for bit on one build:
//   decode to 8-bit → colour order → geometry (resize, crop or pad) → (x · scale − mean[c]) / std[c] → C x H x W float
#pragma once

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"

namespace bitstage {

enum class ColorOrder : uint8_t { kRgb, kBgr, kGray };

enum class Geometry : uint8_t {
  kStretch,     // resize to width x height, whatever the aspect
  kCenterCrop,  // shorter side to `resize_shorter`, then the central width x height; an image that already has
                // between width x height and resize_shorter on its shorter side is cropped without resizing
  kCropSquare,  // central square, then resize to width x height
  kLetterbox,   // longer side to width/height, pasted top-left on `pad_value`
};

struct Preprocessing {
  ColorOrder color = ColorOrder::kRgb;
  Geometry geometry = Geometry::kStretch;
  int width = 0;  // of the network's input
  int height = 0;
  int resize_shorter = 0;            // kCenterCrop only
  int pad_value = 0;                 // kLetterbox only, 8-bit
  float scale = 1.0f;                // multiplies the 8-bit value first: 1/255, or 1
  std::vector<float> mean = {0.0f};  // one entry, or one a channel (in `color` order), in units after `scale`
  std::vector<float> std = {1.0f};

  [[nodiscard]] int channels() const { return color == ColorOrder::kGray ? 1 : 3; }
  friend bool operator==(const Preprocessing&, const Preprocessing&) = default;
};

absl::string_view Name(ColorOrder color);
absl::string_view Name(Geometry geometry);

}  // namespace bitstage
