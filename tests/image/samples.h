// Images and encoded files made on the spot.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/image/image.h"

namespace bitstage {

using Bytes = std::vector<uint8_t>;

inline std::span<const std::byte> AsBytes(const Bytes& bytes) { return std::as_bytes(std::span(bytes)); }
Bytes FromString(const std::string& text);

// Smooth, different in every channel, so that a lossy copy stays near and a swapped channel is far.
Image Gradient(int width, int height, int channels);

// By OpenCV's encoder; channels are R G B (A) in `image`.
Bytes EncodePng(const Image& image);
Bytes EncodePng16(const Image& image);  // every sample v becomes v · 257
Bytes EncodeJpeg(const Image& image, bool progressive = false);

// By hand, chunk by chunk: `rows` are unfiltered lines of packed samples.
Bytes MakePng(uint32_t width, uint32_t height, int bits, int colour_type, const Bytes& palette,
              const Bytes& rows_filtered);
Bytes PngChunk(const std::string& type, const Bytes& data);

// SOI, a frame header, a scan header, some entropy-coded bytes and EOI.
Bytes MakeJpegSkeleton(int width, int height, int components, int frame_marker = 0xc0, int bits = 8);

}  // namespace bitstage
