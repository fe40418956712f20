#include "engine/image/container.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"

namespace bitstage {
namespace {

constexpr std::array<uint8_t, 8> kPngSignature = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
constexpr std::array<uint8_t, 3> kJpegSignature = {0xff, 0xd8, 0xff};

template <size_t N>
bool StartsWith(std::span<const uint8_t> bytes, const std::array<uint8_t, N>& signature) {
  return bytes.size() >= N && std::equal(signature.begin(), signature.end(), bytes.begin());
}

}  // namespace

absl::Status CheckDimensions(int64_t width, int64_t height, const ImageLimits& limits) {
  if (width == 0 || height == 0) {
    return absl::InvalidArgumentError(absl::StrCat("image: empty, ", width, " x ", height, " pixels"));
  }
  if (width > limits.max_pixels / height) {
    return absl::ResourceExhaustedError(absl::StrCat("image: the header says ", width, " x ", height,
                                                     " pixels; the limit is ", limits.max_pixels, " pixels"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ImageContainer> ParseImageContainer(std::span<const std::byte> encoded, const ImageLimits& limits) {
  if (encoded.empty()) return absl::InvalidArgumentError("image: no bytes");
  if (encoded.size() > limits.max_encoded_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("image: ", encoded.size(), " bytes; the limit is ", limits.max_encoded_bytes, " bytes"));
  }
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(encoded.data()), encoded.size());
  if (StartsWith(bytes, kPngSignature)) return ParsePng(bytes, limits);
  if (StartsWith(bytes, kJpegSignature)) return ParseJpeg(bytes, limits);
  std::string start;
  for (const uint8_t byte : bytes.first(std::min<size_t>(bytes.size(), 8))) {
    absl::StrAppend(&start, start.empty() ? "" : " ", absl::Hex(byte, absl::kZeroPad2));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("image: neither PNG nor JPEG: ", bytes.size(), " bytes that begin with ", start));
}

}  // namespace bitstage
