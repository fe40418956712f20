#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/base/checked_math.h"
#include "engine/base/status_macros.h"
#include "engine/codec/frame.h"
#include "engine/codec/frame_header.h"
#include "engine/codec/frame_split.h"
#include "engine/codec/huffman.h"
#include "engine/codec/kernel_choice.h"

namespace bitstage {
namespace {

using codec::CellKernels;
using codec::CellTables;
using frame::Header;
using frame::Mode;

constexpr absl::string_view kCodingNames[] = {"preferred", "stored", "plain", "inline", "contexts", "split"};

class PayloadReader {
 public:
  PayloadReader(const FrameBoundary& boundary, const CellKernels& kernels, const Header& header,
                std::span<uint8_t> codes)
      : boundary_(boundary), kernels_(kernels), header_(header), codes_(codes) {
    pixels_ = static_cast<int64_t>(codes.size()) / boundary.channels();
  }

  absl::Status Read() {
    switch (header_.mode) {
      case Mode::kStored: return Stored();
      case Mode::kPlain: return Plain(boundary_.plain().view());
      case Mode::kInline: return Inline();
      case Mode::kContexts: return Contexts();
      case Mode::kSplit: break;
    }
    return Split();
  }

 private:
  absl::Status Stored() {
    const int64_t expected = frame::StoredBytes(boundary_, pixels_);
    if (static_cast<int64_t>(header_.payload.size()) != expected) {
      return Lost("has ", header_.payload.size(), " bytes of stored symbols, expected ", expected);
    }
    return frame::ReadStored(boundary_, header_.payload, codes_) ? absl::OkStatus() : BitsLeft();
  }

  absl::Status Inline() {
    CellTables tables = boundary_.InlineTables(header_.pairs);
    uint8_t lengths[FrameBoundary::kMaxForms * codec::kMaxCellsPerTable] = {};
    size_t nibble = 0;
    for (int form = 0; form < boundary_.forms(); ++form) {
      const size_t cells = size_t{1} << boundary_.FormBits(form, header_.pairs);
      uint8_t* const of_form = lengths + (static_cast<size_t>(form) << tables.stride_bits);
      for (size_t cell = 0; cell < cells; ++cell, ++nibble) {
        of_form[cell] = std::to_integer<uint8_t>(header_.tables[nibble / 2] >> (4 * (nibble % 2)) & std::byte{15});
        tables.longest = std::max<int>(tables.longest, of_form[cell]);
      }
      if (const absl::Status status = ValidateLengths(std::span(of_form, cells)); !status.ok()) {
        return Refuse("table ", form, ": ", status.message());
      }
    }
    if (nibble % 2 != 0 && std::to_integer<int>(header_.tables.back()) >> 4 != 0) {
      return Refuse("has bits behind its tables");
    }
    tables.index_bits = std::max(tables.longest, codec::kLeastIndexBits);
    codec::DecodeEntry decode[FrameBoundary::kMaxForms << kMaxCodeLength];
    for (int form = 0; form < boundary_.forms(); ++form) {
      const size_t cells = size_t{1} << boundary_.FormBits(form, header_.pairs);
      codec::FillDecode(std::span(lengths + (static_cast<size_t>(form) << tables.stride_bits), cells),
                        boundary_.FormBits(form, false), boundary_.FormShift(form), header_.pairs, tables.index_bits,
                        decode + (static_cast<size_t>(form) << tables.index_bits));
    }
    tables.lengths = lengths;
    tables.decode = decode;
    return Plain(tables);
  }

  absl::Status Plain(const CellTables& tables) {
    int64_t lane_at[codec::kMaxLanes + 1];
    lane_at[0] = 0;
    frame::IndexReader(header_).Next(0, header_.lanes - 1, lane_at + 1);
    lane_at[header_.lanes] = header_.payload_bits();
    if (lane_at[header_.lanes - 1] > header_.payload_bits()) return Lost("ends within its lanes");
    if (!kernels_.decode_plain(tables, stream(), lane_at, header_.lanes, header_.lane_rows, pixels_, codes_.data())) {
      return Lost("has a lane that does not end where it should");
    }
    return CheckPadding();
  }

  absl::Status Contexts() {
    const CellTables tables = boundary_.contexts().view();
    const int64_t row_codes = boundary_.width() * boundary_.channels();
    frame::IndexReader index(header_);
    int64_t lane_at[codec::kMaxLanes + 1] = {};
    for (int64_t row = 0; row < header_.lanes; row += codec::kMaxLanes) {
      const codec::RowBlock block = {
          .width = boundary_.width(),
          .height = boundary_.height(),
          .first = header_.rows.first + row,
          .has_above = row > 0 && (header_.rows.first + row) % boundary_.height() != 0,
          .rows = std::min<int64_t>(codec::kMaxLanes, header_.lanes - row),
      };
      const bool is_last = row + block.rows == header_.lanes;
      index.Next(lane_at[0], block.rows - (is_last ? 1 : 0), lane_at + 1);
      if (lane_at[block.rows - (is_last ? 1 : 0)] > header_.payload_bits()) return Lost("ends within its lanes");
      if (is_last) lane_at[block.rows] = header_.payload_bits();
      if (!kernels_.decode_contexts(tables, stream(), lane_at, block, codes_.data() + row * row_codes)) {
        return Lost("has a lane that does not end where it should");
      }
      lane_at[0] = lane_at[block.rows];
    }
    return CheckPadding();
  }

  absl::Status Split() {
    if (!frame::CanSplit(boundary_)) return Refuse("is split, which its grid does not allow");
    int64_t channel = 0;
    switch (frame::ReadSplit(boundary_, header_.payload, codes_, channel)) {
      case frame::SplitResult::kOk: return absl::OkStatus();
      case frame::SplitResult::kBadTable: return Refuse("has no complete code for channel ", channel);
      case frame::SplitResult::kBadStream: break;
    }
    return BitsLeft();
  }

  const uint8_t* stream() const { return reinterpret_cast<const uint8_t*>(header_.payload.data()); }

  absl::Status CheckPadding() const {
    const bool is_zero =
        header_.padding == 0 || std::to_integer<int>(header_.payload.back()) >> (8 - header_.padding) == 0;
    return is_zero ? absl::OkStatus() : BitsLeft();
  }
  absl::Status BitsLeft() const { return Lost("ends early, or has bits behind its last symbol"); }

  template <typename... Parts>
  absl::Status Refuse(const Parts&... parts) const {
    return absl::InvalidArgumentError(absl::StrCat("frame for boundary '", boundary_.name(), "' ", parts...));
  }
  template <typename... Parts>
  absl::Status Lost(const Parts&... parts) const {
    return absl::DataLossError(absl::StrCat("frame for boundary '", boundary_.name(), "' ", parts...));
  }

  const FrameBoundary& boundary_;
  const CellKernels& kernels_;
  const Header& header_;
  const std::span<uint8_t> codes_;
  int64_t pixels_ = 0;
};

// Rows of the header that was read; a whole frame where whole is set.
absl::StatusOr<RowRange> Decode(absl::string_view frame, const FrameBoundary& boundary, int64_t batch,
                                std::span<uint8_t> codes, const CellKernels* kernels, bool whole) {
  const std::optional<int64_t> elements = CheckedMul(batch, boundary.image_elements());
  if (batch < 1 || !elements || *elements > frame::kMaxElements || static_cast<size_t>(*elements) != codes.size()) {
    return absl::InvalidArgumentError(absl::StrCat("boundary '", boundary.name(), "': room for ", codes.size(),
                                                   " codes of ", batch, " images of ",
                                                   boundary.image_shape().ToString()));
  }
  if (kernels == nullptr) {
    BITSTAGE_ASSIGN_OR_RETURN(kernels, codec::ChosenKernels());
  }
  BITSTAGE_ASSIGN_OR_RETURN(const Header header, frame::ParseHeader(frame, boundary, batch));
  if (whole && header.is_part) {
    return absl::InvalidArgumentError(
        absl::StrCat("frame for boundary '", boundary.name(), "' is a part, expected all"));
  }
  const int64_t row_codes = boundary.width() * boundary.channels();
  const std::span<uint8_t> written = codes.subspan(static_cast<size_t>(header.rows.first * row_codes),
                                                   static_cast<size_t>(header.rows.count * row_codes));
  BITSTAGE_RETURN_IF_ERROR(PayloadReader(boundary, *kernels, header, written).Read());
  return header.rows;
}

}  // namespace

absl::string_view Name(FrameCoding coding) { return kCodingNames[static_cast<size_t>(coding)]; }

absl::StatusOr<FrameCoding> ParseFrameCoding(absl::string_view name) {
  const auto* const found = std::find(std::begin(kCodingNames), std::end(kCodingNames), name);
  if (found != std::end(kCodingNames)) return static_cast<FrameCoding>(found - std::begin(kCodingNames));
  return absl::InvalidArgumentError(
      absl::StrCat("frame coding \"", name, "\" is none of ", absl::StrJoin(kCodingNames, ", ")));
}

absl::Status DecodeFrame(absl::string_view frame, const FrameBoundary& boundary, int64_t batch,
                         std::span<uint8_t> codes, const codec::CellKernels* kernels) {
  return Decode(frame, boundary, batch, codes, kernels, /*whole=*/true).status();
}

absl::StatusOr<RowRange> DecodeFramePart(absl::string_view frame, const FrameBoundary& boundary, int64_t batch,
                                         std::span<uint8_t> codes, const codec::CellKernels* kernels) {
  return Decode(frame, boundary, batch, codes, kernels, /*whole=*/false);
}

FrameCoding CodingOf(absl::string_view frame) {
  if (frame.size() < 2) return FrameCoding::kStored;
  switch (static_cast<Mode>(static_cast<uint8_t>(frame[1]) & frame::kModeMask)) {
    case Mode::kPlain: return FrameCoding::kPlain;
    case Mode::kInline: return FrameCoding::kInline;
    case Mode::kContexts: return FrameCoding::kContexts;
    case Mode::kSplit: return FrameCoding::kSplit;
    case Mode::kStored: break;
  }
  return FrameCoding::kStored;
}

FrameAssembler::FrameAssembler(const FrameBoundary& boundary, int64_t batch, std::span<uint8_t> codes)
    : boundary_(boundary),
      batch_(batch),
      codes_(codes),
      has_row_(codes.size() / static_cast<size_t>(boundary.width() * boundary.channels())),
      missing_(static_cast<int64_t>(has_row_.size())) {}

absl::Status FrameAssembler::Add(absl::string_view frame) {
  BITSTAGE_ASSIGN_OR_RETURN(const RowRange rows, DecodeFramePart(frame, boundary_, batch_, codes_));
  for (int64_t row = rows.first; row < rows.first + rows.count; ++row) {
    if (has_row_[static_cast<size_t>(row)]) {
      return absl::InvalidArgumentError(
          absl::StrCat("frame for boundary '", boundary_.name(), "' brings row ", row, " again"));
    }
    has_row_[static_cast<size_t>(row)] = true;
    --missing_;
  }
  return absl::OkStatus();
}

}  // namespace bitstage
