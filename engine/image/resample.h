// Resampling of 8-bit images.
//
// Separable filters whose support grows with the reduction, so that every source pixel counts (no aliasing), as Pillow
// resizes; a reduction by OpenCV's INTER_LINEAR would read 4 source pixels whatever the factor. In integers: the same
// bits on every machine. Only the asked-for part of the result is computed, so the cost does not depend on what is
// cropped away, whatever the aspect.
#pragma once

#include "engine/image/image.h"

namespace bitstage {

enum class Filter : uint8_t {
  kTriangle,  // bilinear; support 1
  kLanczos3,  // windowed sinc; support 3
};

// Along one axis: [source_begin, source_begin + source_size) of the image is resized to `size`, of which the pixels
// [begin, begin + count) are wanted.
struct AxisMapping {
  int source_begin = 0;
  int source_size = 0;
  int size = 0;
  int begin = 0;
  int count = 0;
};

// Requires mappings within the image and within their sizes (see ImageGeometry). Pixels outside the mapped source are
// never read: at its edges the filter is cut and renormalised.
Image Resample(const Image& image, const AxisMapping& x, const AxisMapping& y, Filter filter);

// The source pixel whose cell holds the centre of each wanted pixel.
Image ResampleNearest(const Image& image, const AxisMapping& x, const AxisMapping& y);

}  // namespace bitstage
