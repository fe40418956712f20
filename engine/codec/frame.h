// Activation frames: the codes of a boundary value as bytes on a wire, and back (docs/frame-format.md).
//
//   BITSTAGE_ASSIGN_OR_RETURN(std::string frame, EncodeFrame(boundary, batch, codes, {}));
//   BITSTAGE_RETURN_IF_ERROR(DecodeFrame(frame, boundary, batch, codes));
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/codec/boundary.h"

namespace bitstage {

enum class FrameCoding : uint8_t {
  kSmallest,  // of the three below
  kStored,    // symbols at their width
  kStatic,    // the boundary's tables; smallest where it has none or they lack a symbol
  kInline,    // tables made for this frame and sent with it
};

struct FrameOptions {
  FrameCoding coding = FrameCoding::kSmallest;
  int streams = 4;  // 1…64; fewer where there are fewer pixels
};

// codes: batch · image_elements() of them in code layout. INVALID_ARGUMENT for another number, or for a code that is
// not on the boundary's grid, naming its position.
absl::StatusOr<std::string> EncodeFrame(const FrameBoundary& boundary, int64_t batch, std::span<const uint8_t> codes,
                                        const FrameOptions& options = {});

// The one door for frames from outside. Writes batch · image_elements() codes to `codes`, which must be as large; what
// it holds after an error is not specified. Statuses: docs/frame-format.md, "What a reader refuses".
absl::Status DecodeFrame(absl::string_view frame, const FrameBoundary& boundary, int64_t batch,
                         std::span<uint8_t> codes);

// The batch that a frame declares: what a receiver asks before it makes room and decodes. INVALID_ARGUMENT where the
// frame is not one of this boundary's shape or its batch is not in 1…max_batch, DATA_LOSS where it is too short to
// tell.
absl::StatusOr<int64_t> FrameBatch(absl::string_view frame, const FrameBoundary& boundary, int64_t max_batch);

}  // namespace bitstage
