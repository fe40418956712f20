#include "tests/image/samples.h"

#include <zlib.h>

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "engine/image/container.h"

namespace bitstage {
namespace {

void AppendBigEndian32(Bytes* bytes, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes->push_back(static_cast<uint8_t>(value >> shift));
}

void AppendBigEndian16(Bytes* bytes, int value) {
  bytes->push_back(static_cast<uint8_t>(value >> 8));
  bytes->push_back(static_cast<uint8_t>(value));
}

// Byte by byte: GCC 12 sees overflows in the inlined vector::insert that are not there.
template <typename Range>
void Append(Bytes* bytes, const Range& part) {
  for (const auto value : part) bytes->push_back(static_cast<uint8_t>(value));
}

cv::Mat ToOpenCv(const Image& image) {
  Bytes pixels = image.pixels;
  const size_t channels = static_cast<size_t>(image.channels);
  if (channels >= 3) {
    for (size_t i = 0; i < pixels.size(); i += channels) std::swap(pixels[i], pixels[i + 2]);
  }
  return cv::Mat(image.height, image.width, CV_8UC(image.channels), pixels.data()).clone();
}

Bytes Encode(const std::string& extension, const cv::Mat& pixels, const std::vector<int>& parameters = {}) {
  Bytes bytes;
  cv::imencode(extension, pixels, bytes, parameters);
  return bytes;
}

}  // namespace

Bytes FromString(const std::string& text) { return Bytes(text.begin(), text.end()); }

Image Gradient(int width, int height, int channels) {
  Image image{width, height, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int ramps[4] = {40 + 160 * x / width, 220 - 180 * y / height, 128, 255 * x / width};
      for (int c = 0; c < channels; ++c) image.pixels.push_back(static_cast<uint8_t>(ramps[c]));
    }
  }
  return image;
}

Bytes EncodePng(const Image& image) { return Encode(".png", ToOpenCv(image)); }

Bytes EncodePng16(const Image& image) {
  cv::Mat wide;
  ToOpenCv(image).convertTo(wide, CV_16U, 257.0);
  return Encode(".png", wide);
}

Bytes EncodeJpeg(const Image& image, bool progressive) {
  return Encode(".jpg", ToOpenCv(image),
                {cv::IMWRITE_JPEG_QUALITY, 95, cv::IMWRITE_JPEG_PROGRESSIVE, progressive ? 1 : 0});
}

Bytes PngChunk(const std::string& type, const Bytes& data) {
  Bytes chunk;
  AppendBigEndian32(&chunk, static_cast<uint32_t>(data.size()));
  Append(&chunk, type);
  Append(&chunk, data);
  AppendBigEndian32(&chunk, PngCrc(std::span(chunk).subspan(4)));
  return chunk;
}

Bytes MakePng(uint32_t width, uint32_t height, int bits, int colour_type, const Bytes& palette,
              const Bytes& rows_filtered) {
  Bytes png = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  const auto append = [&png](const Bytes& chunk) { Append(&png, chunk); };
  Bytes header;
  AppendBigEndian32(&header, width);
  AppendBigEndian32(&header, height);
  Append(&header, std::initializer_list<int>{bits, colour_type, 0, 0, 0});
  append(PngChunk("IHDR", header));
  if (!palette.empty()) append(PngChunk("PLTE", palette));
  uLongf size = compressBound(rows_filtered.size());
  Bytes compressed(size);
  compress(compressed.data(), &size, rows_filtered.data(), rows_filtered.size());
  compressed.resize(size);
  append(PngChunk("IDAT", compressed));
  append(PngChunk("IEND", {}));
  return png;
}

Bytes MakeJpegSkeleton(int width, int height, int components, int frame_marker, int bits) {
  Bytes jpeg = {0xff, 0xd8, 0xff, static_cast<uint8_t>(frame_marker)};
  AppendBigEndian16(&jpeg, 8 + 3 * components);
  jpeg.push_back(static_cast<uint8_t>(bits));
  AppendBigEndian16(&jpeg, height);
  AppendBigEndian16(&jpeg, width);
  jpeg.push_back(static_cast<uint8_t>(components));
  const auto append = [&jpeg](std::initializer_list<int> values) { Append(&jpeg, values); };
  for (int c = 1; c <= components; ++c) append({c, 0x11, 0});
  append({0xff, 0xda});
  AppendBigEndian16(&jpeg, 6 + 2 * components);
  jpeg.push_back(static_cast<uint8_t>(components));
  for (int c = 1; c <= components; ++c) append({c, 0});
  append({0, 63, 0, 0x12, 0x34, 0xff, 0x00, 0x56, 0xff, 0xd9});
  return jpeg;
}

}  // namespace bitstage
