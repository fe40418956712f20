// The header of an activation frame: written, and read and checked against the boundary that expects it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/codec/boundary.h"
#include "engine/codec/frame.h"
#include "engine/codec/frame_format.h"

namespace bitstage::frame {

struct Header {
  Mode mode = Mode::kStored;
  bool pairs = false;  // inline
  int64_t batch = 0;
  bool is_part = false;
  RowRange rows;
  // Plain, inline, contexts.
  int64_t lane_rows = 0;
  int64_t lanes = 0;
  uint32_t base = 0;
  int width = 0;
  int padding = 0;  // unused bits of the payload's last byte
  // Read frames only; point into the frame. The payload has eight bytes in front of it and the checksum behind it.
  std::span<const std::byte> index;
  std::span<const std::byte> tables;
  std::span<const std::byte> payload;

  [[nodiscard]] int64_t payload_bits() const { return 8 * static_cast<int64_t>(payload.size()) - padding; }
};

// Rows of cells of `rows` image rows, in lines as the mode has them, and lanes of lane_rows of them.
int64_t PlainRows(const FrameBoundary& boundary, int64_t rows, bool pairs);

// Bytes of the inline tables of all forms, four bits a length.
int64_t InlineTableBytes(const FrameBoundary& boundary, bool pairs);

// Statuses: docs/frame-format.md. Everything in the header is checked but the inline tables' code lengths and what the
// index adds up to.
absl::StatusOr<Header> ParseHeader(absl::string_view frame, const FrameBoundary& boundary, int64_t batch);

// Writes the bytes from the magic to the end of the index so that they end at `end`; where they begin. payload_bytes:
// of tables and payload. lane_bits: header.lanes entries. Requires room in front of `end`: 32 + 4 · lanes bytes.
std::byte* WriteHeader(Header header, const FrameBoundary& boundary, std::span<const uint32_t> lane_bits,
                       size_t payload_bytes, std::byte* end);

// Reads `width` bits each from an index, one lane after the other.
class IndexReader {
 public:
  explicit IndexReader(const Header& header)
      : at_(header.index.data()),
        end_(header.payload.data() + header.payload.size() + kChecksumBytes),
        base_(header.base),
        width_(header.width),
        mask_((uint64_t{1} << header.width) - 1) {}
  // Where the next `lanes` lanes end, none of them the last one: to[0] and on, the first beginning at `begin`.
  void Next(int64_t begin, int64_t lanes, int64_t* to) {
    if (end_ - at_ >= (bit_ + lanes * width_) / 8 + 8) {
      Read<true>(begin, lanes, to);
    } else {
      Read<false>(begin, lanes, to);
    }
  }

 private:
  template <bool whole_words>
  void Read(int64_t begin, int64_t lanes, int64_t* to) {
    for (int64_t i = 0; i < lanes; ++i, bit_ += width_) {
      const std::byte* const at = at_ + bit_ / 8;
      uint64_t value = 0;
      std::memcpy(&value, at, whole_words || end_ - at >= 8 ? 8 : static_cast<size_t>(end_ - at));
      begin += static_cast<int64_t>(base_ + (value >> (bit_ % 8) & mask_));
      to[i] = begin;
    }
  }

  const std::byte* const at_;
  const std::byte* const end_;  // of the frame
  const uint64_t base_;
  const int64_t width_;
  const uint64_t mask_;
  int64_t bit_ = 0;
};

}  // namespace bitstage::frame
