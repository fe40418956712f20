// How pixels are dealt to the streams of a frame: shared by its writer and its reader.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/checked_math.h"

namespace bitstage::frame {

struct PixelRange {
  int64_t begin, end;
  [[nodiscard]] int64_t count() const { return end - begin; }
};

inline PixelRange PixelsOfStream(int64_t pixels, int64_t streams, int64_t stream) {
  const int64_t share = DivideRoundUp(pixels, streams);
  return {std::min(stream * share, pixels), std::min((stream + 1) * share, pixels)};
}

}  // namespace bitstage::frame
