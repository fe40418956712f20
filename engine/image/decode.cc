#include <array>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/image/color.h"
#include "engine/image/container.h"
#include "engine/image/image.h"
#include "engine/image/label_map.h"

namespace bitstage {
namespace {

// One decode is one thread's work: requests run side by side already.
void SetUpOpenCv() {
  static std::once_flag once;
  std::call_once(once, [] {
    cv::setNumThreads(0);
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  });
}

// Decodes into `image`, whose pixels become `channels` interleaved bytes each, in OpenCV's order (B G R).
absl::Status Decode(const ImageContainer& container, int channels, Image* image) {
  SetUpOpenCv();
  image->width = container.width;
  image->height = container.height;
  image->channels = channels;
  const size_t size =
      static_cast<size_t>(container.width) * static_cast<size_t>(container.height) * static_cast<size_t>(channels);
  const std::string what = absl::StrCat(container.format == ImageContainer::Format::kPng ? "PNG" : "JPEG", " of ",
                                        container.width, " x ", container.height, " pixels");
  try {
    image->pixels.resize(size);
    const cv::Mat encoded(1, static_cast<int>(container.essential.size()), CV_8U,
                          const_cast<uint8_t*>(container.essential.data()));
    // Without IMREAD_IGNORE_ORIENTATION OpenCV would turn the picture as EXIF says; networks and their labelled sets
    // are fed the pixels as stored.
    const int flags = (channels == 1 ? cv::IMREAD_GRAYSCALE : cv::IMREAD_COLOR) | cv::IMREAD_IGNORE_ORIENTATION;
    cv::Mat pixels(container.height, container.width, CV_8UC(channels), image->pixels.data());
    const cv::Mat decoded = cv::imdecode(encoded, flags, &pixels);
    if (decoded.empty())
      return absl::InvalidArgumentError(absl::StrCat("image: the data of this ", what, " is damaged"));
    if (decoded.rows != container.height || decoded.cols != container.width || decoded.type() != CV_8UC(channels)) {
      return absl::InvalidArgumentError(
          absl::StrCat("image: ", what, " decodes to ", decoded.cols, " x ", decoded.rows, " pixels"));
    }
    if (decoded.data != image->pixels.data()) image->pixels.assign(decoded.data, decoded.data + size);
  } catch (const cv::Exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("image: ", what, " cannot be decoded: ", error.err));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat("image: no memory for a ", what));
  }
  return absl::OkStatus();
}

// Palette entry i becomes the grey (i, i, i), so that the decoder hands back indices.
void MakePaletteItsIndices(ImageContainer* container) {
  uint8_t* palette = container->essential.data() + container->palette_offset;
  for (size_t i = 0; i < container->palette_entries; ++i) {
    for (size_t c = 0; c < 3; ++c) palette[3 * i + c] = static_cast<uint8_t>(i);
  }
  const uint32_t crc = PngCrc({palette - 4, 4 + 3 * container->palette_entries});
  uint8_t* stored = palette + 3 * container->palette_entries;
  for (int i = 0; i < 4; ++i) stored[i] = static_cast<uint8_t>(crc >> (24 - 8 * i));
}

}  // namespace

absl::StatusOr<Image> DecodeImage(std::span<const std::byte> encoded, ColorOrder order, const ImageLimits& limits) {
  BITSTAGE_ASSIGN_OR_RETURN(const ImageContainer container, ParseImageContainer(encoded, limits));
  Image image;
  BITSTAGE_RETURN_IF_ERROR(Decode(container, order == ColorOrder::kGray ? 1 : 3, &image));
  if (order == ColorOrder::kRgb) return InColorOrder(std::move(image), ColorOrder::kBgr, order);
  return image;
}

absl::StatusOr<Image> DecodeLabelMap(std::span<const std::byte> encoded, const ImageLimits& limits) {
  BITSTAGE_ASSIGN_OR_RETURN(ImageContainer container, ParseImageContainer(encoded, limits));
  if (container.format != ImageContainer::Format::kPng || container.bits > 8) {
    return absl::InvalidArgumentError("label map: expected a PNG of at most 8 bits, indexed or grey");
  }
  Image map;
  if (container.has_palette) {
    MakePaletteItsIndices(&container);
  } else if (!container.is_grey || container.bits != 8) {
    return absl::InvalidArgumentError(
        "label map: expected an indexed PNG or a grey one of 8 bits, got true colour or fewer bits");
  }
  BITSTAGE_RETURN_IF_ERROR(Decode(container, 1, &map));
  return map;
}

}  // namespace bitstage
