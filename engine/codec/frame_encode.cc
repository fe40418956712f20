#include <algorithm>
#include <cstring>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "engine/base/checked_math.h"
#include "engine/base/crc32c.h"
#include "engine/base/status_macros.h"
#include "engine/codec/frame.h"
#include "engine/codec/frame_header.h"
#include "engine/codec/frame_split.h"
#include "engine/codec/huffman.h"
#include "engine/codec/kernel_choice.h"

namespace bitstage {
namespace {

using codec::BitSink;
using codec::CellKernels;
using codec::CellTables;
using frame::Header;
using frame::Mode;

// Bytes behind a stream that an encoder may touch.
size_t Slack(const FrameBoundary& boundary) { return 64 + 2 * static_cast<size_t>(boundary.channels()); }
// In front of the payload: header, index and inline tables.
size_t HeaderRoom(const FrameBoundary& boundary, int64_t rows) {
  const size_t tables = boundary.forms() <= FrameBoundary::kMaxForms
                            ? static_cast<size_t>(frame::InlineTableBytes(boundary, boundary.CanPair()))
                            : 0;
  return 64 + tables + 4 * static_cast<size_t>(std::max<int64_t>(rows, codec::kMaxLanes));
}

// Codes that the widest decoders take from registers have at most eight bits. Tables whose codes fit in so many for
// less than 3 % are limited to them.
constexpr int kWidestInlinePair = 6;
int LongestInlineCode(int bits) { return bits <= kWidestInlinePair ? std::min(bits + 3, 8) : kMaxCodeLength; }

// The coding that is tried for `wanted`.
FrameCoding Possible(FrameCoding wanted, const FrameBoundary& boundary) {
  if (wanted == FrameCoding::kPreferred) wanted = boundary.preferred();
  if (wanted == FrameCoding::kContexts && boundary.contexts().empty()) wanted = FrameCoding::kPlain;
  if (wanted == FrameCoding::kSplit && !frame::CanSplit(boundary)) wanted = FrameCoding::kInline;
  if (wanted == FrameCoding::kPlain && boundary.plain().empty()) wanted = FrameCoding::kInline;
  if (wanted == FrameCoding::kInline && boundary.forms() > FrameBoundary::kMaxForms) wanted = FrameCoding::kStored;
  return wanted;
}

class Writer {
 public:
  Writer(const FrameBoundary& boundary, const CellKernels& kernels, std::span<const uint8_t> codes, Header header,
         std::span<std::byte> room)
      : boundary_(boundary), kernels_(kernels), codes_(codes), header_(header), room_(room) {
    pixels_ = static_cast<int64_t>(codes.size()) / boundary.channels();
    stored_bytes_ = static_cast<size_t>(frame::StoredBytes(boundary, pixels_));
    payload_at_ = HeaderRoom(boundary, header.rows.count);
  }

  // The frame, or an empty span where it would be larger than stored.
  std::span<const std::byte> Write(FrameCoding coding) {
    switch (coding) {
      case FrameCoding::kPlain: header_.mode = Mode::kPlain; return Plain(boundary_.plain().view());
      case FrameCoding::kInline: header_.mode = Mode::kInline; return Inline();
      case FrameCoding::kContexts: header_.mode = Mode::kContexts; return Contexts();
      case FrameCoding::kSplit: header_.mode = Mode::kSplit; return Split();
      case FrameCoding::kPreferred:
      case FrameCoding::kStored: break;
    }
    return Stored();
  }

  std::span<const std::byte> Stored() {
    header_.mode = Mode::kStored;
    header_.pairs = false;
    header_.lanes = 0;
    frame::WriteStored(boundary_, codes_, payload());
    return Finish(stored_bytes_, payload());
  }

 private:
  std::byte* payload() { return room_.data() + payload_at_; }
  // An encoder that passes it has written more than stored takes.
  const uint8_t* limit() { return reinterpret_cast<const uint8_t*>(payload() + stored_bytes_); }

  std::span<const std::byte> Plain(const CellTables& tables) {
    const int64_t rows = frame::PlainRows(boundary_, header_.rows.count, tables.pairs);
    header_.lane_rows = std::max(DivideRoundUp(rows, codec::kMaxLanes),
                                 std::min(rows, DivideRoundUp(frame::kMinLaneCells, boundary_.channels())));
    header_.lanes = DivideRoundUp(rows, header_.lane_rows);
    uint32_t lane_bits[codec::kMaxLanes];
    BitSink sink = {reinterpret_cast<uint8_t*>(payload()), 0, 0};
    if (!kernels_.encode_plain(tables, codes_.data(), pixels_, header_.lane_rows, limit(), &sink, lane_bits)) return {};
    return FinishStream(sink, std::span(lane_bits, static_cast<size_t>(header_.lanes)));
  }

  std::span<const std::byte> Inline() {
    int widest = 0;
    for (int form = 0; form < boundary_.forms(); ++form) widest = std::max(widest, boundary_.FormBits(form, false));
    // A table of pairs must be worth its bytes, and the time it takes to make.
    header_.pairs = 2 * widest <= kWidestInlinePair && static_cast<int64_t>(codes_.size()) >= int64_t{512}
                                                                                                  << (2 * widest);
    CellTables tables = boundary_.InlineTables(header_.pairs);
    uint32_t counts[FrameBoundary::kMaxForms * codec::kMaxCellsPerTable];
    codec::EncodeEntry encode[FrameBoundary::kMaxForms * codec::kMaxCellsPerTable];
    uint8_t all_lengths[FrameBoundary::kMaxForms * codec::kMaxCellsPerTable];
    const size_t all_cells = static_cast<size_t>(tables.tables) << tables.stride_bits;
    std::fill_n(counts, all_cells, 0u);
    std::fill_n(all_lengths, all_cells, uint8_t{0});
    kernels_.count(tables, codes_.data(), pixels_, counts);
    const auto table_bytes = static_cast<size_t>(frame::InlineTableBytes(boundary_, header_.pairs));
    const std::span<std::byte> tables_room(payload() - table_bytes, table_bytes);
    std::fill(tables_room.begin(), tables_room.end(), std::byte{0});
    size_t nibble = 0;
    for (int form = 0; form < boundary_.forms(); ++form) {
      const size_t cells = size_t{1} << boundary_.FormBits(form, header_.pairs);
      const size_t at = static_cast<size_t>(form) << tables.stride_bits;
      uint64_t wide[codec::kMaxCellsPerTable];
      std::copy_n(counts + at, cells, wide);
      const std::span<uint8_t> lengths(all_lengths + at, cells);
      if (!HuffmanLengths(std::span(wide, cells), LongestInlineCode(boundary_.FormBits(form, header_.pairs)), lengths)
               .ok()) {
        return {};
      }
      codec::FillEncode(lengths, encode + at);
      for (const uint8_t length : lengths) {
        tables_room[nibble / 2] |= static_cast<std::byte>(length << (4 * (nibble % 2)));
        ++nibble;
        tables.longest = std::max<int>(tables.longest, length);
      }
    }
    uint64_t high[codec::kMaxEncodeHighEntries];
    if (kernels_.wants_encode_high && boundary_.forms() == 1 &&
        codes_.size() >= 8 * codec::EncodeHighEntries(widest, header_.pairs)) {
      codec::FillEncodeHigh(encode, widest, header_.pairs, high);
      tables.encode_high = high;
    }
    tables.encode = encode;
    tables.lengths = all_lengths;
    tables_bytes_ = table_bytes;
    return Plain(tables);
  }

  std::span<const std::byte> Contexts() {
    const CellTables tables = boundary_.contexts().view();
    header_.lane_rows = 1;
    header_.lanes = header_.rows.count;
    absl::InlinedVector<uint32_t, 256> lane_bits(static_cast<size_t>(header_.lanes));
    BitSink sink = {reinterpret_cast<uint8_t*>(payload()), 0, 0};
    const int64_t row_codes = boundary_.width() * boundary_.channels();
    for (int64_t row = 0; row < header_.rows.count; row += codec::kMaxLanes) {
      const codec::RowBlock block = {
          .width = boundary_.width(),
          .height = boundary_.height(),
          .first = header_.rows.first + row,
          .has_above = row > 0 && (header_.rows.first + row) % boundary_.height() != 0,
          .rows = std::min<int64_t>(codec::kMaxLanes, header_.rows.count - row),
      };
      if (!kernels_.encode_contexts(tables, codes_.data() + row * row_codes, block, limit(), &sink,
                                    lane_bits.data() + row)) {
        return {};
      }
    }
    return FinishStream(sink, lane_bits);
  }

  std::span<const std::byte> Split() {
    const int64_t bytes = frame::WriteSplit(boundary_, codes_, std::span(payload(), stored_bytes_));
    if (bytes < 0) return {};
    return Finish(static_cast<size_t>(bytes), payload());
  }

  std::span<const std::byte> FinishStream(BitSink sink, std::span<const uint32_t> lane_bits) {
    header_.padding = sink.count > 0 ? 8 - sink.count : 0;
    if (sink.count > 0) *sink.at++ = static_cast<uint8_t>(sink.bits);
    const auto bytes = static_cast<size_t>(reinterpret_cast<std::byte*>(sink.at) - payload()) + tables_bytes_;
    if (bytes > stored_bytes_) return {};
    std::byte* const begin = frame::WriteHeader(header_, boundary_, lane_bits, bytes, payload() - tables_bytes_);
    const auto header_bytes = static_cast<size_t>(payload() - tables_bytes_ - begin);
    // The header of a stored frame is as large at most as the smallest of others; beyond it the index may cost more
    // than the codes save.
    if (header_bytes + bytes > stored_bytes_ + kStoredHeaderBytes) return {};
    return Seal(begin, header_bytes + bytes);
  }
  std::span<const std::byte> Finish(size_t payload_bytes, std::byte* payload_begin) {
    header_.lanes = 0;
    std::byte* const begin = frame::WriteHeader(header_, boundary_, {}, payload_bytes, payload_begin);
    return Seal(begin, static_cast<size_t>(payload_begin - begin) + payload_bytes);
  }
  static std::span<const std::byte> Seal(std::byte* begin, size_t bytes) {
    const uint32_t checksum = Crc32c(std::span(begin, bytes));
    for (size_t i = 0; i < frame::kChecksumBytes; ++i) begin[bytes + i] = static_cast<std::byte>(checksum >> (8 * i));
    return {begin, bytes + frame::kChecksumBytes};
  }

  static constexpr size_t kStoredHeaderBytes = 20;

  const FrameBoundary& boundary_;
  const CellKernels& kernels_;
  const std::span<const uint8_t> codes_;
  Header header_;
  const std::span<std::byte> room_;
  int64_t pixels_ = 0;
  size_t stored_bytes_ = 0;
  size_t payload_at_ = 0;
  size_t tables_bytes_ = 0;
};

absl::Status CodeOffGrid(const FrameBoundary& boundary, std::span<const uint8_t> codes) {
  const CellTables tables = boundary.InlineTables(false);
  const auto channels = static_cast<size_t>(boundary.channels());
  size_t i = 0;
  while (i + 1 < codes.size() && (codes[i] & tables.off_mask[i % channels]) == 0) ++i;
  return absl::InvalidArgumentError(absl::StrCat("boundary '", boundary.name(), "': code ", codes[i], " at position ",
                                                 i, " is not on the grid of channel ", i % channels));
}

}  // namespace

size_t FrameRoom(const FrameBoundary& boundary, int64_t rows) {
  return HeaderRoom(boundary, rows) + static_cast<size_t>(frame::StoredBytes(boundary, rows * boundary.width())) +
         Slack(boundary) + frame::kChecksumBytes;
}

absl::StatusOr<std::span<const std::byte>> EncodeFrameInto(const FrameBoundary& boundary, int64_t batch, RowRange rows,
                                                           std::span<const uint8_t> codes, const FrameOptions& options,
                                                           std::span<std::byte> room) {
  const std::optional<int64_t> elements = CheckedMul(batch, boundary.image_elements());
  if (batch < 1 || !elements || *elements > frame::kMaxElements) {
    return absl::InvalidArgumentError(absl::StrCat("boundary '", boundary.name(), "': a batch of ", batch,
                                                   " images of ", boundary.image_shape().ToString(),
                                                   ", expected 1 image to ", frame::kMaxElements, " codes"));
  }
  const int64_t all_rows = batch * boundary.height();
  if (rows.first < 0 || rows.count < 1 || rows.first > all_rows || rows.count > all_rows - rows.first ||
      static_cast<int64_t>(codes.size()) != rows.count * boundary.width() * boundary.channels()) {
    return absl::InvalidArgumentError(absl::StrCat("boundary '", boundary.name(), "': ", codes.size(), " codes for ",
                                                   rows.count, " rows from row ", rows.first, " on of ", batch,
                                                   " images of ", boundary.image_shape().ToString()));
  }
  if (room.size() < FrameRoom(boundary, rows.count)) {
    return absl::InvalidArgumentError(absl::StrCat("boundary '", boundary.name(), "': room of ", room.size(),
                                                   " bytes, expected ", FrameRoom(boundary, rows.count)));
  }
  const CellKernels* kernels = options.kernels;
  if (kernels == nullptr) {
    BITSTAGE_ASSIGN_OR_RETURN(kernels, codec::ChosenKernels());
  }
  const auto pixels = static_cast<int64_t>(codes.size()) / boundary.channels();
  if (kernels->off_grid(boundary.InlineTables(false), codes.data(), pixels) != 0) return CodeOffGrid(boundary, codes);

  Header header;
  header.batch = batch;
  header.is_part = rows != RowRange{0, all_rows};
  header.rows = rows;
  const FrameCoding coding = Possible(options.coding, boundary);
  std::span<const std::byte> written = Writer(boundary, *kernels, codes, header, room).Write(coding);
  if (written.empty()) written = Writer(boundary, *kernels, codes, header, room).Stored();
  return written;
}

absl::StatusOr<std::string> EncodeFramePart(const FrameBoundary& boundary, int64_t batch, RowRange rows,
                                            std::span<const uint8_t> codes, const FrameOptions& options) {
  // Wrong numbers of rows are refused below; they must not ask for memory first.
  const auto row_codes = static_cast<size_t>(boundary.width() * boundary.channels());
  const bool fits = rows.count >= 1 && codes.size() / row_codes >= static_cast<size_t>(rows.count);
  std::string frame(fits ? FrameRoom(boundary, rows.count) : 0, '\0');
  const std::span<std::byte> room = std::as_writable_bytes(std::span(frame));
  BITSTAGE_ASSIGN_OR_RETURN(const std::span<const std::byte> written,
                            EncodeFrameInto(boundary, batch, rows, codes, options, room));
  frame.erase(0, static_cast<size_t>(written.data() - room.data()));
  frame.resize(written.size());
  return frame;
}

absl::StatusOr<std::string> EncodeFrame(const FrameBoundary& boundary, int64_t batch, std::span<const uint8_t> codes,
                                        const FrameOptions& options) {
  const std::optional<int64_t> rows = CheckedMul(batch, boundary.height());
  return EncodeFramePart(boundary, batch, {0, rows.value_or(0)}, codes, options);
}

}  // namespace bitstage
