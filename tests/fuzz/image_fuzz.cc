// The container parsers and the decoders behind them. Starts from small valid images of every kind; after a mutation
// the checksums of a PNG are put right again, or else nothing would come past them.
#include <algorithm>
#include <array>
#include <cstring>

#include "engine/image/container.h"
#include "engine/image/image.h"
#include "engine/image/label_map.h"
#include "tests/fuzz/fuzz_check.h"
#include "tests/image/samples.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace bitstage {
namespace {

// Pixels few enough that an execution is short.
constexpr ImageLimits kLimits{.max_encoded_bytes = 1 << 16, .max_pixels = 1 << 14};

void CheckRefusal(const absl::Status& status) {
  FUZZ_CHECK(status.code() == absl::StatusCode::kInvalidArgument ||
             status.code() == absl::StatusCode::kResourceExhausted);
}

void CheckImage(const absl::StatusOr<Image>& image, int channels) {
  if (!image.ok()) return CheckRefusal(image.status());
  FUZZ_CHECK(image->channels == channels && image->width >= 1 && image->height >= 1);
  FUZZ_CHECK(int64_t{image->width} * image->height <= kLimits.max_pixels);
  FUZZ_CHECK(image->pixels.size() == static_cast<size_t>(image->width) * static_cast<size_t>(image->height * channels));
}

const std::vector<Bytes>& Samples() {
  static const std::vector<Bytes> samples = {
      EncodePng(Gradient(9, 7, 3)),    EncodePng(Gradient(5, 5, 4)),
      EncodePng16(Gradient(4, 6, 1)),  MakePng(3, 2, 8, 3, {9, 9, 9, 9, 9, 9, 0, 128, 0}, {0, 0, 1, 2, 0, 2, 1, 0}),
      EncodeJpeg(Gradient(20, 11, 3)), EncodeJpeg(Gradient(17, 18, 3), /*progressive=*/true),
      EncodeJpeg(Gradient(8, 8, 1)),   MakeJpegSkeleton(8, 8, 3),
  };
  return samples;
}

void RepairPngChecksums(std::span<uint8_t> bytes) {
  if (bytes.size() < 8 || bytes[1] != 'P') return;
  for (size_t offset = 8; bytes.size() - offset >= 12;) {
    const size_t length = ReadBigEndian32(&bytes[offset]);
    if (length > bytes.size() - offset - 12) return;
    const uint32_t crc = PngCrc(bytes.subspan(offset + 4, 4 + length));
    for (size_t i = 0; i < 4; ++i) bytes[offset + 8 + length + i] = static_cast<uint8_t>(crc >> (24 - 8 * i));
    offset += 12 + length;
  }
}

}  // namespace
}  // namespace bitstage

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  using namespace bitstage;
  if (size < 16) {
    const Bytes& sample = Samples()[seed % Samples().size()];
    size = std::min(sample.size(), max_size);
    std::memcpy(data, sample.data(), size);
  }
  size = LLVMFuzzerMutate(data, size, max_size);
  RepairPngChecksums({data, size});
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bitstage;
  const std::span<const std::byte> bytes = std::as_bytes(std::span(data, size));
  const absl::StatusOr<ImageContainer> container = ParseImageContainer(bytes, kLimits);
  if (!container.ok()) {
    CheckRefusal(container.status());
    return 0;
  }
  FUZZ_CHECK(container->essential.size() <= size);
  CheckImage(DecodeImage(bytes, ColorOrder::kRgb, kLimits), 3);
  CheckImage(DecodeImage(bytes, ColorOrder::kGray, kLimits), 1);
  CheckImage(DecodeLabelMap(bytes, kLimits), 1);
  return 0;
}
