// The frame reader: raw bytes, bytes whose outer fields and checksum are made right so that the parts behind them are
// reached, and codes that must come back as they went.
#include <algorithm>
#include <array>
#include <vector>

#include "engine/base/crc32c.h"
#include "engine/codec/frame.h"
#include "engine/codec/frame_format.h"
#include "engine/codec/kernel_choice.h"
#include "tests/codec/sample_boundary.h"
#include "tests/fuzz/fuzz_check.h"

namespace bitstage {
namespace {

// Of the first byte; the bits above choose the coding of a round trip.
enum Flags : uint8_t { kBoundary = 3, kSeal = 4, kRoundTrip = 8 };
constexpr int kCodingShift = 4;

const std::array<FrameBoundary, 4>& Boundaries() {
  static const std::array<FrameBoundary, 4> boundaries = [] {
    Sample vector;
    vector.shape = {10};
    Sample narrow;
    narrow.shape = {5, 5, 4};
    narrow.grid.bits = {2};
    Sample wide;
    wide.shape = {4, 3, 7};
    wide.grid.bits = {5};
    return std::array{BoundaryOf(vector), BoundaryOf(narrow, CalibratedTables(narrow, true, 1)),
                      BoundaryOf(DqaSample(), CalibratedTables(DqaSample(), false, 1)),
                      BoundaryOf(wide, CalibratedTables(wide, false, 1))};
  }();
  return boundaries;
}

// Magic, version, identity, length and checksum as a true frame has them. Frames of 128 bytes and more get a length of
// two bytes.
void Seal(std::string& frame, const FrameBoundary& boundary) {
  if (frame.size() < frame::kMinFrameBytes || frame.size() >= 1 << 14) return;
  frame[0] = static_cast<char>(frame::kMagic | frame::kVersion);
  for (size_t i = 0; i < 4; ++i) {
    frame[frame::kIdentityAt + i] = static_cast<char>(boundary.identity() >> (8 * i) & 0xff);
  }
  const size_t size = frame.size();
  if (size < 128) {
    frame[frame::kNumbersAt] = static_cast<char>(size);
  } else {
    frame[frame::kNumbersAt] = static_cast<char>((size & 0x7f) | 0x80);
    frame[frame::kNumbersAt + 1] = static_cast<char>(size >> 7);
  }
  const size_t end = size - frame::kChecksumBytes;
  const uint32_t checksum = Crc32c(std::as_bytes(std::span(frame)).first(end));
  for (size_t i = 0; i < 4; ++i) frame[end + i] = static_cast<char>(checksum >> (8 * i) & 0xff);
}

// Every set of kernels must say the same.
void CheckDecode(const std::string& frame, const FrameBoundary& boundary) {
  const auto elements = static_cast<size_t>(boundary.image_elements());
  std::vector<uint8_t> expected(elements);
  const absl::StatusOr<RowRange> rows =
      DecodeFramePart(frame, boundary, 1, expected, codec::SupportedKernels().front());
  for (const codec::CellKernels* kernels : codec::SupportedKernels()) {
    std::vector<uint8_t> codes(elements);
    FUZZ_CHECK(DecodeFramePart(frame, boundary, 1, codes, kernels).status() == rows.status());
    FUZZ_CHECK(!rows.ok() || codes == expected);
  }
  if (rows.ok()) {
    FUZZ_CHECK(EncodeFrame(boundary, 1, expected).ok());
    FUZZ_CHECK(FrameBatch(frame, boundary, 1).ok());
    return;
  }
  const absl::StatusCode code = rows.status().code();
  FUZZ_CHECK(code == absl::StatusCode::kDataLoss || code == absl::StatusCode::kInvalidArgument ||
             code == absl::StatusCode::kUnimplemented);
  FUZZ_CHECK(!rows.status().message().empty());
}

void CheckRoundTrip(absl::string_view bytes, const FrameBoundary& boundary, FrameCoding coding) {
  std::vector<uint8_t> codes(static_cast<size_t>(boundary.image_elements()));
  for (size_t i = 0; i < codes.size() && i < bytes.size(); ++i) {
    const auto c = static_cast<int64_t>(i) % boundary.channels();
    codes[i] = static_cast<uint8_t>((static_cast<uint8_t>(bytes[i]) & boundary.grid().MaxSymbol(c))
                                    << boundary.grid().ShiftOf(c));
  }
  std::string first;
  for (const codec::CellKernels* kernels : codec::SupportedKernels()) {
    const absl::StatusOr<std::string> frame = EncodeFrame(boundary, 1, codes, {coding, kernels});
    FUZZ_CHECK(frame.ok());
    if (first.empty()) first = *frame;
    FUZZ_CHECK(*frame == first);
    std::vector<uint8_t> decoded(codes.size());
    FUZZ_CHECK(DecodeFrame(*frame, boundary, 1, decoded, kernels).ok());
    FUZZ_CHECK(decoded == codes);
  }
}

}  // namespace
}  // namespace bitstage

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bitstage;
  if (size == 0) return 0;
  const uint8_t flags = data[0];
  const FrameBoundary& boundary = Boundaries()[flags & kBoundary];
  std::string frame(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((flags & kRoundTrip) != 0) {
    CheckRoundTrip(frame, boundary, static_cast<FrameCoding>((flags >> kCodingShift) % 6));
    return 0;
  }
  if ((flags & kSeal) != 0) Seal(frame, boundary);
  CheckDecode(frame, boundary);
  return 0;
}
