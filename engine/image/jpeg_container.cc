// JPEG (ITU-T T.81 annex B): SOI, marker segments, scans of entropy-coded data, EOI.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/image/container.h"

namespace bitstage {
namespace {

// T.81 table B.1
constexpr int kSoi = 0xd8;
constexpr int kEoi = 0xd9;
constexpr int kSos = 0xda;
constexpr int kDnl = 0xdc;
constexpr int kDht = 0xc4;
constexpr int kDac = 0xcc;
constexpr int kJpg = 0xc8;
constexpr int kTem = 0x01;
constexpr int kRst0 = 0xd0;
constexpr int kRst7 = 0xd7;
constexpr int kSof0 = 0xc0;
constexpr int kSof2 = 0xc2;
constexpr int kSof15 = 0xcf;
constexpr int kApp0 = 0xe0;
constexpr int kApp14 = 0xee;  // Adobe: which colour space three components are in
constexpr int kApp15 = 0xef;
constexpr int kCom = 0xfe;

// A scan costs a pass over the whole image however few bytes it has. Encoders write about ten.
constexpr int kMaxScans = 100;

bool IsFrame(int marker) {
  return marker >= kSof0 && marker <= kSof15 && marker != kDht && marker != kDac && marker != kJpg;
}
bool StandsAlone(int marker) { return marker == kTem || (marker >= kRst0 && marker <= kRst7); }
bool IsUseless(int marker) { return marker == kCom || (marker > kApp0 && marker <= kApp15 && marker != kApp14); }
std::string MarkerName(int marker) { return absl::StrCat("marker ff", absl::Hex(marker, absl::kZeroPad2)); }

class JpegParser {
 public:
  JpegParser(std::span<const uint8_t> bytes, const ImageLimits& limits) : bytes_(bytes), limits_(limits) {}

  absl::StatusOr<ImageContainer> Parse() {
    container_.format = ImageContainer::Format::kJpeg;
    container_.essential.reserve(bytes_.size());
    Append(0, 2);
    offset_ = 2;
    for (;;) {
      BITSTAGE_ASSIGN_OR_RETURN(const int marker, NextMarker());
      if (marker == kEoi) break;
      BITSTAGE_RETURN_IF_ERROR(ReadSegment(marker));
    }
    Append(offset_ - 2, 2);
    if (component_ids_.empty()) return absl::InvalidArgumentError("JPEG: no frame header");
    for (size_t i = 0; i < component_ids_.size(); ++i) {
      if (!scanned_[i]) return absl::InvalidArgumentError(absl::StrCat("JPEG: no scan holds component ", i));
    }
    return std::move(container_);
  }

 private:
  absl::Status Truncated(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("JPEG: truncated after ", bytes_.size(), " bytes: ", what));
  }
  void Append(size_t begin, size_t count) {
    const auto first = bytes_.begin() + static_cast<std::ptrdiff_t>(begin);
    container_.essential.insert(container_.essential.end(), first, first + static_cast<std::ptrdiff_t>(count));
  }

  // The next marker; offset_ is behind it. Fill bytes (ff) may stand in front.
  absl::StatusOr<int> NextMarker() {
    if (offset_ >= bytes_.size()) return Truncated("no end of image");
    if (bytes_[offset_] != 0xff) {
      return absl::InvalidArgumentError(absl::StrCat("JPEG: expected a marker at byte ", offset_, ", got ",
                                                     absl::Hex(bytes_[offset_], absl::kZeroPad2)));
    }
    while (offset_ < bytes_.size() && bytes_[offset_] == 0xff) ++offset_;
    if (offset_ >= bytes_.size()) return Truncated("no end of image");
    return bytes_[offset_++];
  }

  absl::Status ReadSegment(int marker) {
    if (StandsAlone(marker)) return absl::OkStatus();
    if (marker == 0 || marker == kSoi || marker == kDnl) {
      return absl::InvalidArgumentError(absl::StrCat("JPEG: unexpected ", MarkerName(marker), " at byte ", offset_));
    }
    if (bytes_.size() - offset_ < 2) return Truncated("within a segment's length");
    const size_t length = ReadBigEndian16(&bytes_[offset_]);
    if (length < 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("JPEG: ", MarkerName(marker), " at byte ", offset_, " has length ", length));
    }
    if (length > bytes_.size() - offset_) {
      return Truncated(absl::StrCat("the segment of ", MarkerName(marker), " has ", length, " bytes"));
    }
    const std::span<const uint8_t> payload = bytes_.subspan(offset_ + 2, length - 2);
    if (IsFrame(marker)) BITSTAGE_RETURN_IF_ERROR(ReadFrame(marker, payload));
    if (marker == kSos) BITSTAGE_RETURN_IF_ERROR(ReadScan(payload));
    if (!IsUseless(marker)) {
      const uint8_t head[2] = {0xff, static_cast<uint8_t>(marker)};
      container_.essential.insert(container_.essential.end(), head, head + 2);
      Append(offset_, length);
    }
    offset_ += length;
    return marker == kSos ? SkipEntropyCoded() : absl::OkStatus();
  }

  // B.2.2: precision, lines, samples a line, components, then three bytes a component.
  absl::Status ReadFrame(int marker, std::span<const uint8_t> payload) {
    if (marker > kSof2) {
      return absl::InvalidArgumentError(absl::StrCat("JPEG: lossless, hierarchical or arithmetic coding (",
                                                     MarkerName(marker),
                                                     ") is not supported; use baseline or progressive"));
    }
    if (!component_ids_.empty()) return absl::InvalidArgumentError("JPEG: two frame headers");
    if (payload.size() < 6) return absl::InvalidArgumentError("JPEG: frame header too short");
    container_.bits = payload[0];
    container_.height = static_cast<int>(ReadBigEndian16(&payload[1]));
    container_.width = static_cast<int>(ReadBigEndian16(&payload[3]));
    BITSTAGE_RETURN_IF_ERROR(CheckDimensions(container_.width, container_.height, limits_));
    if (container_.bits != 8) {
      return absl::InvalidArgumentError(
          absl::StrCat("JPEG: ", container_.bits, " bits a sample; only 8 are supported"));
    }
    const size_t components = payload[5];
    if (components == 4) {
      return absl::InvalidArgumentError("JPEG: four components (CMYK or YCCK); convert the image to RGB or grey first");
    }
    if (components != 1 && components != 3) {
      return absl::InvalidArgumentError(absl::StrCat("JPEG: ", components, " components; expected 1 or 3"));
    }
    if (payload.size() != 6 + 3 * components) {
      return absl::InvalidArgumentError(absl::StrCat("JPEG: frame header of ", payload.size(), " bytes for ",
                                                     components, " components; expected ", 6 + 3 * components));
    }
    for (size_t i = 0; i < components; ++i) component_ids_.push_back(payload[6 + 3 * i]);
    container_.is_grey = components == 1;
    scanned_.assign(components, false);
    return absl::OkStatus();
  }

  // B.2.3: components, two bytes each, and three more.
  absl::Status ReadScan(std::span<const uint8_t> payload) {
    if (component_ids_.empty()) return absl::InvalidArgumentError("JPEG: a scan before the frame header");
    if (++scans_ > kMaxScans) {
      return absl::ResourceExhaustedError(absl::StrCat("JPEG: more than ", kMaxScans, " scans"));
    }
    const size_t components = payload.empty() ? 0 : payload[0];
    if (components < 1 || components > component_ids_.size() || payload.size() != 4 + 2 * components) {
      return absl::InvalidArgumentError(
          absl::StrCat("JPEG: scan header of ", payload.size(), " bytes for ", components, " components"));
    }
    for (size_t i = 0; i < components; ++i) {
      const auto id = std::find(component_ids_.begin(), component_ids_.end(), payload[1 + 2 * i]);
      if (id == component_ids_.end()) return absl::InvalidArgumentError("JPEG: a scan of an unknown component");
      scanned_[static_cast<size_t>(id - component_ids_.begin())] = true;
    }
    return absl::OkStatus();
  }

  // Up to the next marker that is not a restart; ff00 stands for a byte ff.
  absl::Status SkipEntropyCoded() {
    const size_t begin = offset_;
    for (size_t at = begin;;) {
      const void* found = at < bytes_.size() ? std::memchr(&bytes_[at], 0xff, bytes_.size() - at) : nullptr;
      if (found == nullptr) return Truncated("no end of image");
      at = static_cast<size_t>(static_cast<const uint8_t*>(found) - bytes_.data());
      if (at + 1 >= bytes_.size()) return Truncated("no end of image");
      const int next = bytes_[at + 1];
      if (next == 0xff) {
        ++at;
      } else if (next == 0 || (next >= kRst0 && next <= kRst7)) {
        at += 2;
      } else {
        offset_ = at;
        break;
      }
    }
    Append(begin, offset_ - begin);
    return absl::OkStatus();
  }

  std::span<const uint8_t> bytes_;
  const ImageLimits& limits_;
  size_t offset_ = 0;
  int scans_ = 0;
  std::vector<uint8_t> component_ids_;
  std::vector<bool> scanned_;
  ImageContainer container_;
};

}  // namespace

absl::StatusOr<ImageContainer> ParseJpeg(std::span<const uint8_t> bytes, const ImageLimits& limits) {
  return JpegParser(bytes, limits).Parse();
}

}  // namespace bitstage
