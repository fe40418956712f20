#include "engine/codec/frame_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/crc32c.h"
#include "engine/base/status_macros.h"
#include "engine/codec/bit_stream.h"

namespace bitstage {
namespace frame {
namespace {

constexpr int kMaxNumberBytes = 5;

class Reader {
 public:
  Reader(absl::string_view frame, const FrameBoundary& boundary) : frame_(frame), boundary_(boundary) {}

  // Enough to read the fields of every frame, of a known version, of this boundary.
  absl::Status CheckStart() const {
    if (frame_.size() < kMinFrameBytes) return Lost("is ", frame_.size(), " bytes long, a header takes more");
    const int first = Byte(0);
    if ((first & 0xf0) != kMagic || (first & 0x0f) < kVersion) return Refuse("begins with byte ", first);
    if ((first & 0x0f) > kVersion) {
      return absl::UnimplementedError(
          absl::StrCat(Name(), "is of version ", first & 0x0f, ", this reader knows version ", int{kVersion}));
    }
    return absl::OkStatus();
  }
  absl::Status CheckIdentity() const {
    uint32_t identity = 0;
    for (size_t i = 0; i < 4; ++i) identity |= static_cast<uint32_t>(Byte(kIdentityAt + i)) << (8 * i);
    if (const auto expected = static_cast<uint32_t>(boundary_.identity()); identity != expected) {
      return Refuse("belongs to another boundary or model (identity ", absl::Hex(identity), ", expected ",
                    absl::Hex(expected), ")");
    }
    return absl::OkStatus();
  }
  absl::Status CheckWhole() {
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t declared, Number("frame_bytes"));
    if (declared != static_cast<int64_t>(frame_.size())) {
      return Lost("declares ", declared, " bytes, ", frame_.size(), " came");
    }
    const size_t end = frame_.size() - kChecksumBytes;
    uint32_t expected = 0;
    for (size_t i = 0; i < kChecksumBytes; ++i) expected |= static_cast<uint32_t>(Byte(end + i)) << (8 * i);
    if (expected != Crc32c(std::as_bytes(std::span(frame_.data(), end)))) return Lost("fails its checksum");
    return absl::OkStatus();
  }
  absl::StatusOr<int64_t> Batch() { return Number("batch"); }
  absl::StatusOr<int64_t> SkipToBatch() {
    BITSTAGE_RETURN_IF_ERROR(Number("frame_bytes").status());
    return Number("batch");
  }

  absl::StatusOr<Header> Rest(int64_t batch) {
    Header header;
    header.batch = batch;
    const int kind = Byte(1);
    const int mode = kind & kModeMask;
    if (mode > static_cast<int>(Mode::kSplit) || (kind & kUnknownBits) != 0) {
      return Refuse("has the unknown kind ", kind);
    }
    header.mode = static_cast<Mode>(mode);
    header.pairs = (kind & kPairsBit) != 0;
    if (header.pairs && (header.mode != Mode::kInline || !boundary_.CanPair())) {
      return Refuse("has pairs in mode ", mode);
    }
    header.is_part = (kind & kPartBit) != 0;
    header.rows = {0, batch * boundary_.height()};
    if (header.is_part) BITSTAGE_RETURN_IF_ERROR(ReadRows(header.rows));
    if ((kind & kExtensionBit) != 0) {
      BITSTAGE_ASSIGN_OR_RETURN(const int64_t bytes, Number("extension"));
      BITSTAGE_RETURN_IF_ERROR(Bytes(bytes, "extension").status());
    }
    if (header.mode == Mode::kPlain && boundary_.plain().empty())
      return Refuse("is coded by tables that are not there");
    if (header.mode == Mode::kContexts && boundary_.contexts().empty()) {
      return Refuse("is coded by contexts that are not there");
    }
    if (header.mode == Mode::kPlain || header.mode == Mode::kInline || header.mode == Mode::kContexts) {
      BITSTAGE_RETURN_IF_ERROR(ReadIndex(header));
    }
    if (header.mode == Mode::kInline) {
      if (boundary_.forms() > FrameBoundary::kMaxForms) return Refuse("has tables for too many widths");
      BITSTAGE_ASSIGN_OR_RETURN(header.tables, Bytes(InlineTableBytes(boundary_, header.pairs), "tables"));
    }
    header.payload = std::as_bytes(std::span(frame_)).subspan(at_, frame_.size() - kChecksumBytes - at_);
    if (header.padding > 0 && header.payload.empty()) return Refuse("pads a payload that is empty");
    return header;
  }

  template <typename... Parts>
  [[nodiscard]] absl::Status Refuse(const Parts&... parts) const {
    return absl::InvalidArgumentError(absl::StrCat(Name(), parts...));
  }

 private:
  absl::Status ReadRows(RowRange& rows) {
    const int64_t all = rows.count;
    BITSTAGE_ASSIGN_OR_RETURN(rows.first, Number("first row"));
    BITSTAGE_ASSIGN_OR_RETURN(rows.count, Number("rows"));
    if (rows.count < 1 || rows.first > all || rows.count > all - rows.first) {
      return Refuse("holds ", rows.count, " rows from row ", rows.first, " on, of ", all);
    }
    return absl::OkStatus();
  }

  absl::Status ReadIndex(Header& header) {
    if (header.mode == Mode::kContexts) {
      header.lane_rows = 1;
      header.lanes = header.rows.count;
    } else {
      const bool pairs = header.mode == Mode::kPlain ? boundary_.plain().view().pairs : header.pairs;
      const int64_t rows = PlainRows(boundary_, header.rows.count, pairs);
      BITSTAGE_ASSIGN_OR_RETURN(header.lane_rows, Number("lane rows"));
      if (header.lane_rows < 1 || header.lane_rows > rows) {
        return Refuse("has lanes of ", header.lane_rows, " rows of cells, of ", rows);
      }
      header.lanes = DivideRoundUp(rows, header.lane_rows);
      if (header.lanes > codec::kMaxLanes) return Refuse("has ", header.lanes, " lanes, expected at most 64");
    }
    BITSTAGE_ASSIGN_OR_RETURN(const int64_t base, Number("base"));
    header.base = static_cast<uint32_t>(base);
    BITSTAGE_ASSIGN_OR_RETURN(const std::span<const std::byte> widths, Bytes(1, "width of the index"));
    header.width = std::to_integer<int>(widths[0]) & 31;
    header.padding = std::to_integer<int>(widths[0]) >> 5;
    if (header.lanes == 1 && (header.base != 0 || header.width != 0)) return Refuse("has an index of one lane");
    BITSTAGE_ASSIGN_OR_RETURN(header.index, Bytes(DivideRoundUp((header.lanes - 1) * header.width, 8), "index"));
    if (const int used = static_cast<int>((header.lanes - 1) * header.width % 8);
        used != 0 && std::to_integer<int>(header.index.back()) >> used != 0) {
      return Refuse("has bits behind its index");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> Number(absl::string_view field) {
    uint64_t value = 0;
    for (int i = 0; i < kMaxNumberBytes; ++i) {
      if (at_ >= frame_.size() - kChecksumBytes) return Lost("ends within ", field);
      const int byte = Byte(at_++);
      value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        if ((byte == 0 && i > 0) || value > 0xffffffffu) break;
        return static_cast<int64_t>(value);
      }
    }
    return Refuse("has no number of 32 bits in ", field);
  }
  absl::StatusOr<std::span<const std::byte>> Bytes(int64_t count, absl::string_view field) {
    if (count > static_cast<int64_t>(frame_.size() - kChecksumBytes - at_)) return Lost("ends within its ", field);
    const auto bytes = std::as_bytes(std::span(frame_)).subspan(at_, static_cast<size_t>(count));
    at_ += static_cast<size_t>(count);
    return bytes;
  }
  [[nodiscard]] int Byte(size_t at) const { return static_cast<uint8_t>(frame_[at]); }

  template <typename... Parts>
  [[nodiscard]] absl::Status Lost(const Parts&... parts) const {
    return absl::DataLossError(absl::StrCat(Name(), parts...));
  }
  [[nodiscard]] std::string Name() const { return absl::StrCat("frame for boundary '", boundary_.name(), "' "); }

  absl::string_view frame_;
  const FrameBoundary& boundary_;
  size_t at_ = kNumbersAt;
};

// Bytes put one behind the other.
class Bytes {
 public:
  void Byte(int value) { bytes_[count_++] = static_cast<std::byte>(value); }
  void Number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) Byte(static_cast<int>(value & 0x7f) | 0x80);
    Byte(static_cast<int>(value));
  }
  [[nodiscard]] size_t size() const { return count_; }
  std::byte* CopyInFrontOf(std::byte* end) const {
    std::memcpy(end - count_, bytes_.data(), count_);
    return end - count_;
  }

 private:
  std::array<std::byte, 64> bytes_;
  size_t count_ = 0;
};

size_t NumberBytes(uint64_t value) {
  size_t bytes = 1;
  for (; value >= 0x80; value >>= 7) ++bytes;
  return bytes;
}

}  // namespace

int64_t PlainRows(const FrameBoundary& boundary, int64_t rows, bool pairs) {
  const int64_t pixels = rows * boundary.width();
  return pairs ? DivideRoundUp(pixels, 2) : pixels;
}

int64_t InlineTableBytes(const FrameBoundary& boundary, bool pairs) {
  int64_t lengths = 0;
  for (int form = 0; form < boundary.forms(); ++form) lengths += int64_t{1} << boundary.FormBits(form, pairs);
  return DivideRoundUp(lengths, 2);
}

absl::StatusOr<Header> ParseHeader(absl::string_view frame, const FrameBoundary& boundary, int64_t batch) {
  Reader reader(frame, boundary);
  BITSTAGE_RETURN_IF_ERROR(reader.CheckStart());
  BITSTAGE_RETURN_IF_ERROR(reader.CheckWhole());
  BITSTAGE_RETURN_IF_ERROR(reader.CheckIdentity());
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t declared, reader.Batch());
  if (declared != batch) return reader.Refuse("holds ", declared, " images, expected ", batch);
  return reader.Rest(batch);
}

std::byte* WriteHeader(Header header, const FrameBoundary& boundary, std::span<const uint32_t> lane_bits,
                       size_t payload_bytes, std::byte* end) {
  std::byte* at = end;
  if (header.lanes > 0) {
    const std::span<const uint32_t> listed = lane_bits.first(lane_bits.size() - 1);
    uint32_t least = listed.empty() ? 0 : listed[0];
    uint32_t most = least;
    for (const uint32_t bits : listed) {
      least = std::min(least, bits);
      most = std::max(most, bits);
    }
    header.base = least;
    header.width = std::bit_width(most - least);
    const size_t index_bytes = (listed.size() * static_cast<size_t>(header.width) + 7) / 8;
    at -= index_bytes;
    BitWriter writer(std::span(at, index_bytes));
    for (const uint32_t bits : listed) writer.Write(bits - least, header.width);
    writer.Finish();
  }
  Bytes tail;
  tail.Number(static_cast<uint64_t>(header.batch));
  if (header.is_part) {
    tail.Number(static_cast<uint64_t>(header.rows.first));
    tail.Number(static_cast<uint64_t>(header.rows.count));
  }
  if (header.lanes > 0) {
    if (header.mode != Mode::kContexts) tail.Number(static_cast<uint64_t>(header.lane_rows));
    tail.Number(header.base);
    tail.Byte(header.width | header.padding << 5);
  }
  const size_t others = kNumbersAt + tail.size() + static_cast<size_t>(end - at) + payload_bytes + kChecksumBytes;
  size_t frame_bytes = others + 1;
  while (others + NumberBytes(frame_bytes) != frame_bytes) ++frame_bytes;
  at = tail.CopyInFrontOf(at);
  Bytes head;
  head.Byte(kMagic | kVersion);
  head.Byte(static_cast<int>(header.mode) | (header.pairs ? kPairsBit : 0) | (header.is_part ? kPartBit : 0));
  for (int i = 0; i < 4; ++i) head.Byte(static_cast<int>(boundary.identity() >> (8 * i) & 0xff));
  head.Number(frame_bytes);
  return head.CopyInFrontOf(at);
}

}  // namespace frame

absl::StatusOr<int64_t> FrameBatch(absl::string_view frame, const FrameBoundary& boundary, int64_t max_batch) {
  frame::Reader reader(frame, boundary);
  BITSTAGE_RETURN_IF_ERROR(reader.CheckStart());
  BITSTAGE_RETURN_IF_ERROR(reader.CheckIdentity());
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t batch, reader.SkipToBatch());
  if (batch < 1 || batch > max_batch) return reader.Refuse("holds ", batch, " images, expected 1 to ", max_batch);
  return batch;
}

}  // namespace bitstage
