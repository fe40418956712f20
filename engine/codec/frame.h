// Activation frames: the codes of a boundary value as bytes on a wire, and back (docs/frame-format.md).
//
//   BITSTAGE_ASSIGN_OR_RETURN(std::string frame, EncodeFrame(boundary, batch, codes));
//   BITSTAGE_RETURN_IF_ERROR(DecodeFrame(frame, boundary, batch, codes));
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/codec/boundary.h"

namespace bitstage {

// "preferred", "stored", "plain", "inline", "contexts", "split".
absl::string_view Name(FrameCoding coding);
// INVALID_ARGUMENT for another name, listing these.
absl::StatusOr<FrameCoding> ParseFrameCoding(absl::string_view name);

struct FrameOptions {
  // A coding that the boundary has no tables for becomes the next one it can do: contexts, plain, inline; split,
  // inline. What would come out larger than stored is stored.
  FrameCoding coding = FrameCoding::kPreferred;
  // Null: the best of this CPU, or what BITSTAGE_ISA asks for.
  const codec::CellKernels* kernels = nullptr;
};

// Image rows, counted through the batch: batch · height of them.
struct RowRange {
  int64_t first = 0;
  int64_t count = 0;
  friend bool operator==(const RowRange&, const RowRange&) = default;
};

// codes: batch · image_elements() of them in code layout. INVALID_ARGUMENT for another number, or for a code that is
// not on the boundary's grid, naming its position.
absl::StatusOr<std::string> EncodeFrame(const FrameBoundary& boundary, int64_t batch, std::span<const uint8_t> codes,
                                        const FrameOptions& options = {});
// A frame of some rows of the tensor; codes: theirs.
absl::StatusOr<std::string> EncodeFramePart(const FrameBoundary& boundary, int64_t batch, RowRange rows,
                                            std::span<const uint8_t> codes, const FrameOptions& options = {});
// The same into `room`, of at least FrameRoom bytes: the result lies within. Allocates nothing for the codings with
// static tables and stored, on success. INVALID_ARGUMENT for too little room.
absl::StatusOr<std::span<const std::byte>> EncodeFrameInto(const FrameBoundary& boundary, int64_t batch, RowRange rows,
                                                           std::span<const uint8_t> codes, const FrameOptions& options,
                                                           std::span<std::byte> room);
size_t FrameRoom(const FrameBoundary& boundary, int64_t rows);

// The one door for frames from outside. Writes batch · image_elements() codes to `codes`, which must be as large; what
// it holds after an error is not specified. Allocates nothing on success. Statuses: docs/frame-format.md, "What a
// reader refuses".
absl::Status DecodeFrame(absl::string_view frame, const FrameBoundary& boundary, int64_t batch,
                         std::span<uint8_t> codes, const codec::CellKernels* kernels = nullptr);
// The same for a whole frame or a part; `codes` is the whole tensor, and the rows that were written are the result.
absl::StatusOr<RowRange> DecodeFramePart(absl::string_view frame, const FrameBoundary& boundary, int64_t batch,
                                         std::span<uint8_t> codes, const codec::CellKernels* kernels = nullptr);

// The batch that a frame declares: what a receiver asks before it makes room and decodes. INVALID_ARGUMENT where the
// frame is not one of this boundary or its batch is not in 1…max_batch, DATA_LOSS where it is too short to tell.
absl::StatusOr<int64_t> FrameBatch(absl::string_view frame, const FrameBoundary& boundary, int64_t max_batch);
// How a frame that was decoded or encoded is coded.
FrameCoding CodingOf(absl::string_view frame);

// A tensor that comes in parts, in any order.
class FrameAssembler {
 public:
  // `codes`: batch · image_elements() of them, the caller's. Both must outlive this.
  FrameAssembler(const FrameBoundary& boundary, int64_t batch, std::span<uint8_t> codes);
  // INVALID_ARGUMENT for a row that came before; else as DecodeFramePart.
  absl::Status Add(absl::string_view frame);
  [[nodiscard]] bool Complete() const { return missing_ == 0; }

 private:
  const FrameBoundary& boundary_;
  const int64_t batch_;
  const std::span<uint8_t> codes_;
  std::vector<bool> has_row_;
  int64_t missing_;
};

}  // namespace bitstage
