// Picture: a small encoded image for people to look at, on a page or in a message.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "engine/image/image.h"

namespace bitstage {

struct Picture {
  std::string mime;   // "image/png" or "image/jpeg"
  std::string bytes;  // the file
};

// `image` (one channel, or three in R G B order) with its longer side reduced to at most `max_side`, never enlarged: a
// PNG where that is small, where a JPEG would blur, else a JPEG. Requires a non-empty image and max_side >= 1.
absl::StatusOr<Picture> EncodePicture(const Image& image, int max_side);

}  // namespace bitstage
