#include "engine/image/color.h"

#include <utility>

namespace bitstage {

Image InColorOrder(Image image, ColorOrder from, ColorOrder to) {
  if (from == to) return image;
  std::vector<uint8_t>& pixels = image.pixels;
  if (from == ColorOrder::kGray) {
    Image colour{image.width, image.height, 3, {}};
    colour.pixels.reserve(3 * pixels.size());
    for (const uint8_t value : pixels) colour.pixels.insert(colour.pixels.end(), 3, value);
    return colour;
  }
  if (to == ColorOrder::kGray) {
    Image grey{image.width, image.height, 1, {}};
    grey.pixels.reserve(pixels.size() / 3);
    const size_t red = from == ColorOrder::kRgb ? 0 : 2;
    for (size_t i = 0; i + 2 < pixels.size(); i += 3) {
      const int luma = 299 * pixels[i + red] + 587 * pixels[i + 1] + 114 * pixels[i + 2 - red];
      grey.pixels.push_back(static_cast<uint8_t>((luma + 500) / 1000));
    }
    return grey;
  }
  for (size_t i = 0; i + 2 < pixels.size(); i += 3) std::swap(pixels[i], pixels[i + 2]);
  return image;
}

}  // namespace bitstage
