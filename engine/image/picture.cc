#include "engine/image/picture.h"

#include <algorithm>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/image/color.h"
#include "engine/image/resample.h"

namespace bitstage {
namespace {

constexpr int kLargestPng = 96;  // pixels a side
constexpr int kJpegQuality = 82;

Image Reduced(const Image& image, int max_side) {
  const int longer = std::max(image.width, image.height);
  if (longer <= max_side) return image;
  const auto reduced = [&](int side) {
    const int64_t size = (int64_t{side} * max_side + longer / 2) / longer;
    return std::max(1, static_cast<int>(size));
  };
  const int width = reduced(image.width);
  const int height = reduced(image.height);
  return Resample(image, {.source_size = image.width, .size = width, .count = width},
                  {.source_size = image.height, .size = height, .count = height}, Filter::kTriangle);
}

}  // namespace

absl::StatusOr<Picture> EncodePicture(const Image& image, int max_side) {
  Image small = Reduced(image, max_side);
  if (small.channels == 3) small = InColorOrder(std::move(small), ColorOrder::kRgb, ColorOrder::kBgr);
  const bool png = std::max(small.width, small.height) <= kLargestPng;
  try {
    const cv::Mat pixels(small.height, small.width, CV_8UC(small.channels), small.pixels.data());
    std::vector<uint8_t> bytes;
    const std::vector<int> options = png ? std::vector<int>{cv::IMWRITE_PNG_COMPRESSION, 9}
                                         : std::vector<int>{cv::IMWRITE_JPEG_QUALITY, kJpegQuality};
    if (cv::imencode(png ? ".png" : ".jpg", pixels, bytes, options)) {
      return Picture{png ? "image/png" : "image/jpeg", std::string(bytes.begin(), bytes.end())};
    }
  } catch (const cv::Exception& error) {
    return absl::InternalError(absl::StrCat("picture: cannot be encoded: ", error.err));
  }
  return absl::InternalError("picture: cannot be encoded");
}

}  // namespace bitstage
