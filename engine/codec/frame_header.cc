#include "engine/codec/frame_header.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "engine/base/crc32c.h"
#include "engine/base/status_macros.h"
#include "engine/codec/frame.h"

namespace bitstage {
namespace frame {
namespace {

template <typename T>
T Get(absl::string_view bytes, size_t at) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i)
    value = static_cast<T>(value | T{static_cast<uint8_t>(bytes[at + i])} << (8 * i));
  return value;
}

class Reader {
 public:
  Reader(absl::string_view frame, const FrameBoundary& boundary)
      : frame_(frame), boundary_(boundary), rank_(boundary.image_shape().rank() + 1) {}

  // Enough to read every field in front of the shape, of a known version.
  absl::Status CheckStart() const {
    if (frame_.size() < kShapeAt + kChecksumBytes) {
      return Lost("is ", frame_.size(), " bytes long, a header takes more");
    }
    if (std::memcmp(frame_.data(), kMagic, sizeof(kMagic)) != 0) return Refuse("does not begin with BSFR");
    const int version = Get<uint8_t>(frame_, kVersionAt);
    if (version != kVersion) {
      return absl::UnimplementedError(
          absl::StrCat(Name(), "is of version ", version, ", this reader knows version ", int{kVersion}));
    }
    return absl::OkStatus();
  }

  absl::Status CheckWhole() const {
    const size_t declared = Get<uint32_t>(frame_, kFrameBytesAt);
    if (declared != frame_.size()) return Lost("declares ", declared, " bytes, ", frame_.size(), " came");
    const size_t end = frame_.size() - kChecksumBytes;
    const uint32_t expected = Get<uint32_t>(frame_, end);
    const uint32_t found = Crc32c(std::as_bytes(std::span(frame_.data(), end)));
    if (expected != found) return Lost("fails its checksum");
    return absl::OkStatus();
  }

  // The batch, where the frame is one of this boundary.
  absl::StatusOr<int64_t> Batch() const {
    if (const auto identity = Get<uint64_t>(frame_, kIdentityAt); identity != boundary_.identity()) {
      return Refuse("belongs to another boundary or model (identity ", absl::Hex(identity), ", expected ",
                    absl::Hex(boundary_.identity()), ")");
    }
    const int rank = Get<uint8_t>(frame_, kRankAt);
    if (rank != rank_) return Refuse("has rank ", rank, ", expected ", rank_);
    if (frame_.size() < StreamLengthsAt() + kChecksumBytes) return Lost("ends within its shape");
    for (int axis = 1; axis < rank_; ++axis) {
      const int64_t extent = Get<uint32_t>(frame_, kShapeAt + 4 * static_cast<size_t>(axis));
      const int64_t expected = boundary_.image_shape()[axis - 1];
      if (extent != expected) return Refuse("has extent ", extent, " on axis ", axis, ", expected ", expected);
    }
    return int64_t{Get<uint32_t>(frame_, kShapeAt)};
  }

  absl::StatusOr<Header> Rest(int64_t batch) const {
    Header header;
    header.batch = batch;
    const int mode = Get<uint8_t>(frame_, kModeAt);
    if (mode > static_cast<int>(Mode::kInlineTables)) return Refuse("has the unknown mode ", mode);
    header.mode = static_cast<Mode>(mode);
    header.tables = Get<uint16_t>(frame_, kTablesAt);
    const size_t expected_tables = header.mode == Mode::kStored         ? 0
                                   : header.mode == Mode::kStaticTables ? boundary_.static_tables().encode.size()
                                                                        : boundary_.by_width().width.size();
    if (header.mode == Mode::kStaticTables && !boundary_.HasStaticTables()) {
      return Refuse("is coded by static tables, of which the boundary has none");
    }
    if (header.tables != expected_tables) return Refuse("has ", header.tables, " tables, expected ", expected_tables);

    const size_t streams = Get<uint8_t>(frame_, kStreamsAt);
    if (streams < 1 || streams > size_t{kMaxStreams}) return Refuse("has ", streams, " streams, expected 1 to 64");
    const size_t lengths_at = StreamLengthsAt();
    const size_t tables_at = lengths_at + 4 * streams;
    size_t header_bytes = tables_at;
    if (header.mode == Mode::kInlineTables) {
      for (const int width : boundary_.by_width().width) header_bytes += ((size_t{1} << width) + 1) / 2;
    }
    const size_t payload_at = Get<uint16_t>(frame_, kHeaderBytesAt);
    const size_t payload_end = frame_.size() - kChecksumBytes;
    if (payload_at < header_bytes) return Refuse("has a header of ", payload_at, " bytes, expected ", header_bytes);
    if (payload_at > payload_end) return Lost("ends within its header");
    header.inline_lengths = Bytes(tables_at, header_bytes - tables_at);
    size_t at = payload_at;
    for (size_t i = 0; i < streams; ++i) {
      const size_t length = Get<uint32_t>(frame_, lengths_at + 4 * i);
      if (length > payload_end - at) return Lost("ends within stream ", i);
      header.streams.push_back(Bytes(at, length));
      at += length;
    }
    if (at != payload_end) return Lost("has ", payload_end - at, " bytes behind its last stream");
    return header;
  }

  template <typename... Parts>
  [[nodiscard]] absl::Status Refuse(const Parts&... parts) const {
    return absl::InvalidArgumentError(absl::StrCat(Name(), parts...));
  }

 private:
  template <typename... Parts>
  [[nodiscard]] absl::Status Lost(const Parts&... parts) const {
    return absl::DataLossError(absl::StrCat(Name(), parts...));
  }
  [[nodiscard]] std::string Name() const { return absl::StrCat("frame for boundary '", boundary_.name(), "' "); }
  [[nodiscard]] size_t StreamLengthsAt() const { return kShapeAt + 4 * static_cast<size_t>(rank_); }
  [[nodiscard]] std::span<const std::byte> Bytes(size_t at, size_t count) const {
    return std::as_bytes(std::span(frame_.data(), frame_.size())).subspan(at, count);
  }

  absl::string_view frame_;
  const FrameBoundary& boundary_;
  int rank_;
};

}  // namespace

absl::StatusOr<Header> ParseHeader(absl::string_view frame, const FrameBoundary& boundary) {
  const Reader reader(frame, boundary);
  BITSTAGE_RETURN_IF_ERROR(reader.CheckStart());
  BITSTAGE_RETURN_IF_ERROR(reader.CheckWhole());
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t batch, reader.Batch());
  return reader.Rest(batch);
}

}  // namespace frame

absl::StatusOr<int64_t> FrameBatch(absl::string_view frame, const FrameBoundary& boundary, int64_t max_batch) {
  const frame::Reader reader(frame, boundary);
  BITSTAGE_RETURN_IF_ERROR(reader.CheckStart());
  BITSTAGE_ASSIGN_OR_RETURN(const int64_t batch, reader.Batch());
  if (batch < 1 || batch > max_batch) return reader.Refuse("holds ", batch, " images, expected 1 to ", max_batch);
  return batch;
}

}  // namespace bitstage
