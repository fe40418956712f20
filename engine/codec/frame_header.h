// The header of an activation frame, read and checked against the boundary that expects it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/codec/boundary.h"
#include "engine/codec/frame_format.h"

namespace bitstage::frame {

// Spans point into the frame.
struct Header {
  Mode mode = Mode::kStored;
  int64_t batch = 0;
  size_t tables = 0;
  std::span<const std::byte> inline_lengths;
  std::vector<std::span<const std::byte>> streams;
};

// Statuses: docs/frame-format.md. Everything in the header is checked but the inline tables' code lengths.
absl::StatusOr<Header> ParseHeader(absl::string_view frame, const FrameBoundary& boundary);

}  // namespace bitstage::frame
