// The frame reader: raw bytes, bytes whose outer fields and checksum are made right so that the parts behind them are
// reached, and codes that must come back as they went.
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "engine/base/crc32c.h"
#include "engine/codec/frame.h"
#include "engine/codec/frame_format.h"
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
    narrow.shape = {3, 3, 4};
    narrow.grid.bits = {1};
    return std::array{BoundaryOf(vector), BoundaryOf(narrow, CalibratedTables(narrow, 4, 1)),
                      BoundaryOf(DqaSample(), CalibratedTables(DqaSample(), 2, 1)), BoundaryOf(DqaSample())};
  }();
  return boundaries;
}

void Put(std::string& frame, size_t at, uint64_t value, size_t bytes) {
  for (size_t i = 0; i < bytes && at + i < frame.size(); ++i)
    frame[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
}

// Magic, version, length, identity, shape and checksum as a true frame of one image has them.
void Seal(std::string& frame, const FrameBoundary& boundary) {
  if (frame.size() < frame::kShapeAt + frame::kChecksumBytes) return;
  std::memcpy(frame.data(), frame::kMagic, sizeof(frame::kMagic));
  Put(frame, frame::kVersionAt, frame::kVersion, 1);
  Put(frame, frame::kRankAt, static_cast<uint64_t>(boundary.image_shape().rank()) + 1, 1);
  Put(frame, frame::kFrameBytesAt, frame.size(), 4);
  Put(frame, frame::kIdentityAt, boundary.identity(), 8);
  Put(frame, frame::kShapeAt, 1, 4);
  size_t at = frame::kShapeAt + 4;
  for (const int64_t extent : boundary.image_shape()) {
    Put(frame, at, static_cast<uint64_t>(extent), 4);
    at += 4;
  }
  const size_t end = frame.size() - frame::kChecksumBytes;
  Put(frame, end, Crc32c(std::as_bytes(std::span(frame)).first(end)), 4);
}

void CheckDecode(const std::string& frame, const FrameBoundary& boundary) {
  std::vector<uint8_t> codes(static_cast<size_t>(boundary.image_elements()));
  const absl::Status status = DecodeFrame(frame, boundary, 1, codes);
  if (status.ok()) {
    FUZZ_CHECK(EncodeFrame(boundary, 1, codes).ok());
    FUZZ_CHECK(FrameBatch(frame, boundary, 1).ok());
    return;
  }
  FUZZ_CHECK(status.code() == absl::StatusCode::kDataLoss || status.code() == absl::StatusCode::kInvalidArgument ||
             status.code() == absl::StatusCode::kUnimplemented);
  FUZZ_CHECK(!status.message().empty());
}

void CheckRoundTrip(absl::string_view bytes, const FrameBoundary& boundary, FrameCoding coding) {
  std::vector<uint8_t> codes(static_cast<size_t>(boundary.image_elements()));
  for (size_t i = 0; i < codes.size() && i < bytes.size(); ++i) {
    const auto c = static_cast<int64_t>(i) % boundary.channels();
    codes[i] = static_cast<uint8_t>((static_cast<uint8_t>(bytes[i]) & boundary.grid().MaxSymbol(c))
                                    << boundary.grid().ShiftOf(c));
  }
  const absl::StatusOr<std::string> frame = EncodeFrame(boundary, 1, codes, {coding, 3});
  FUZZ_CHECK(frame.ok());
  std::vector<uint8_t> decoded(codes.size());
  FUZZ_CHECK(DecodeFrame(*frame, boundary, 1, decoded).ok());
  FUZZ_CHECK(decoded == codes);
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
    CheckRoundTrip(frame, boundary, static_cast<FrameCoding>(flags >> kCodingShift & 3));
    return 0;
  }
  if ((flags & kSeal) != 0) Seal(frame, boundary);
  CheckDecode(frame, boundary);
  return 0;
}
