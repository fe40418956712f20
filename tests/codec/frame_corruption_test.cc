// Frames that are damaged or lie: each is refused, by the status that docs/frame-format.md names, within its bytes.
#include <gmock/gmock.h>

#include <functional>

#include "engine/base/crc32c.h"
#include "engine/codec/frame.h"
#include "engine/codec/frame_format.h"
#include "tests/codec/sample_boundary.h"

namespace bitstage {
namespace {

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

class FrameCorruption : public testing::Test {
 protected:
  const Sample sample_ = DqaSample();
  const FrameBoundary boundary_ = BoundaryOf(sample_, CalibratedTables(sample_, 2, 1));
  const std::vector<uint8_t> codes_ = SkewedCodes(sample_, 2);

  [[nodiscard]] std::string Frame(FrameCoding coding, int streams = 2) const {
    return *EncodeFrame(boundary_, 1, codes_, {coding, streams});
  }
  // Decodes an exact copy on the heap, so that the address sanitizer sees a read beyond it.
  [[nodiscard]] absl::Status Decode(const std::string& frame) const {
    const std::vector<char> exact(frame.begin(), frame.end());
    std::vector<uint8_t> codes(codes_.size());
    return DecodeFrame(absl::string_view(exact.data(), exact.size()), boundary_, 1, codes);
  }
  // With length and checksum made right: what an attacker sends, or a faulty encoder.
  [[nodiscard]] absl::Status DecodeSealed(std::string frame) const {
    const size_t end = frame.size() - frame::kChecksumBytes;
    Put(frame, frame::kFrameBytesAt, static_cast<uint32_t>(frame.size()), 4);
    Put(frame, end, Crc32c(std::as_bytes(std::span(frame)).first(end)), 4);
    return Decode(frame);
  }
  static void Put(std::string& frame, size_t at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) frame[at + static_cast<size_t>(i)] = static_cast<char>(value >> (8 * i) & 0xff);
  }
};

constexpr FrameCoding kCodings[] = {FrameCoding::kStored, FrameCoding::kStatic, FrameCoding::kInline};

TEST_F(FrameCorruption, EverySingleFlippedBitIsRefused) {
  for (const FrameCoding coding : kCodings) {
    const std::string frame = Frame(coding);
    ASSERT_TRUE(Decode(frame).ok());
    for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
      std::string damaged = frame;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
      const absl::StatusCode expected = bit < 32 ? kInvalid : bit < 40 ? absl::StatusCode::kUnimplemented : kDataLoss;
      EXPECT_EQ(Decode(damaged).code(), expected) << "bit " << bit;
    }
  }
}

TEST_F(FrameCorruption, EveryTruncationIsRefused) {
  for (const FrameCoding coding : kCodings) {
    const std::string frame = Frame(coding);
    for (size_t length = 0; length < frame.size(); ++length) {
      EXPECT_EQ(Decode(frame.substr(0, length)).code(), kDataLoss) << length;
    }
    EXPECT_EQ(Decode(frame + '\0').code(), kDataLoss);
  }
}

TEST_F(FrameCorruption, EveryTruncationWithARightChecksumIsRefused) {
  for (const FrameCoding coding : kCodings) {
    const std::string frame = Frame(coding);
    for (size_t length = 32; length < frame.size(); ++length) {
      const absl::Status status = DecodeSealed(frame.substr(0, length));
      EXPECT_TRUE(status.code() == kDataLoss || status.code() == kInvalid) << length << ": " << status;
    }
  }
}

// Behind the checksum nothing may crash, and nothing but the very same codes may be accepted twice: either a status or
// codes on the grid.
TEST_F(FrameCorruption, FlippedBitsWithARightChecksumNeverLeaveTheGrid) {
  for (const FrameCoding coding : kCodings) {
    const std::string frame = Frame(coding);
    for (size_t bit = 0; bit < (frame.size() - 4) * 8; ++bit) {
      std::string damaged = frame;
      damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
      if (bit / 8 >= frame::kFrameBytesAt && bit / 8 < frame::kIdentityAt) continue;
      const size_t end = damaged.size() - 4;
      Put(damaged, end, Crc32c(std::as_bytes(std::span(damaged)).first(end)), 4);
      std::vector<uint8_t> codes(codes_.size());
      if (DecodeFrame(damaged, boundary_, 1, codes).ok()) {
        EXPECT_TRUE(EncodeFrame(boundary_, 1, codes).ok()) << "bit " << bit;
      }
    }
  }
}

TEST_F(FrameCorruption, HostileHeadersAreRefusedByName) {
  struct Case {
    const char* what;
    size_t at;
    uint64_t value;
    int bytes;
    absl::StatusCode expected;
    const char* message;
  };
  const std::string good = Frame(FrameCoding::kInline);
  const Case cases[] = {
      {"magic", 0, 'X', 1, kInvalid, "BSFR"},
      {"version", frame::kVersionAt, 2, 1, absl::StatusCode::kUnimplemented, "version 2"},
      {"mode", frame::kModeAt, 3, 1, kInvalid, "mode 3"},
      {"rank 0", frame::kRankAt, 0, 1, kInvalid, "rank 0"},
      {"rank 255", frame::kRankAt, 255, 1, kInvalid, "rank 255"},
      {"no streams", frame::kStreamsAt, 0, 1, kInvalid, "0 streams"},
      {"65 streams", frame::kStreamsAt, 65, 1, kInvalid, "65 streams"},
      {"header too short", frame::kHeaderBytesAt, 3, 2, kInvalid, "header of 3 bytes"},
      {"header too long", frame::kHeaderBytesAt, 0xffff, 2, kDataLoss, "within its header"},
      {"tables", frame::kTablesAt, 3, 2, kInvalid, "3 tables"},
      {"identity", frame::kIdentityAt, 0, 8, kInvalid, "another boundary"},
      {"batch 0", frame::kShapeAt, 0, 4, kInvalid, "0 images"},
      {"batch 2^32-1", frame::kShapeAt, 0xffffffff, 4, kInvalid, "4294967295 images"},
      {"height", frame::kShapeAt + 4, 0x7fffffff, 4, kInvalid, "axis 1"},
      {"channels", frame::kShapeAt + 12, 5, 4, kInvalid, "axis 3"},
      {"stream length 2^32-1", frame::kShapeAt + 16, 0xffffffff, 4, kDataLoss, "within stream 0"},
      {"stream length 0", frame::kShapeAt + 16, 0, 4, kDataLoss, "behind its last stream"},
  };
  for (const Case& c : cases) {
    std::string frame = good;
    Put(frame, c.at, c.value, c.bytes);
    const absl::Status status = DecodeSealed(frame);
    EXPECT_EQ(status.code(), c.expected) << c.what << ": " << status;
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(c.message)) << c.what;
  }
}

TEST_F(FrameCorruption, InlineTablesThatAreNoCodeAreRefused) {
  const std::string frame = Frame(FrameCoding::kInline);
  const size_t tables_at = frame::kShapeAt + 4 * 4 + 4 * 2;
  std::string over_subscribed = frame;
  Put(over_subscribed, tables_at, 0x11111111, 4);
  EXPECT_EQ(DecodeSealed(over_subscribed).code(), kInvalid);
  std::string incomplete = frame;
  Put(incomplete, tables_at, 0x33333330, 4);
  EXPECT_EQ(DecodeSealed(incomplete).code(), kInvalid);
  std::string empty = frame;
  Put(empty, tables_at, 0, 4);
  EXPECT_EQ(DecodeSealed(empty).code(), kInvalid);
}

TEST_F(FrameCorruption, BitsMovedBetweenStreamsAreRefused) {
  const std::string frame = Frame(FrameCoding::kStatic);
  const size_t lengths_at = frame::kShapeAt + 4 * 4;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(frame[lengths_at + i]); };
  std::string moved = frame;
  Put(moved, lengths_at, byte(0) + 1u, 1);
  Put(moved, lengths_at + 4, byte(4) - 1u, 1);
  EXPECT_EQ(DecodeSealed(moved).code(), kDataLoss);
}

TEST_F(FrameCorruption, TrailingBitsAndBytesOfAStreamAreRefused) {
  Sample sample;
  sample.shape = {3};
  sample.grid.bits = {2};
  const FrameBoundary boundary = BoundaryOf(sample);
  const std::vector<uint8_t> codes = {1, 2, 3};
  const std::string frame = *EncodeFrame(boundary, 1, codes, {FrameCoding::kStored, 1});
  const auto decode = [&](std::string bytes) {
    const size_t end = bytes.size() - 4;
    Put(bytes, frame::kFrameBytesAt, bytes.size(), 4);
    Put(bytes, end, Crc32c(std::as_bytes(std::span(bytes)).first(end)), 4);
    std::vector<uint8_t> decoded(3);
    return DecodeFrame(bytes, boundary, 1, decoded);
  };
  ASSERT_TRUE(decode(frame).ok());
  const size_t payload = frame.size() - 5;
  std::string bit_left = frame;
  bit_left[payload] = static_cast<char>(bit_left[payload] | 0x40);
  EXPECT_EQ(decode(bit_left).code(), kDataLoss);
  std::string byte_left = frame;
  byte_left.insert(payload + 1, 1, '\0');
  Put(byte_left, frame::kShapeAt + 8, 2, 4);
  EXPECT_EQ(decode(byte_left).code(), kDataLoss);
}

TEST_F(FrameCorruption, ASymbolWiderThanItsChannelIsRefused) {
  // One table of 5 bits for channels of 5 and 3 bits: a 3-bit channel given the symbol 31.
  Sample wide = sample_;
  wide.grid.bits = {5};
  wide.grid.shift = {0};
  const std::vector<std::vector<uint8_t>> flat = {std::vector<uint8_t>(32, 5)};
  const FrameBoundary sender = BoundaryOf(wide, flat);
  const FrameBoundary receiver = BoundaryOf(sample_, flat);
  std::string frame = *EncodeFrame(sender, 1, std::vector<uint8_t>(codes_.size(), 31), {FrameCoding::kStatic, 1});
  Put(frame, frame::kIdentityAt, receiver.identity(), 8);
  Put(frame, frame.size() - 4, Crc32c(std::as_bytes(std::span(frame)).first(frame.size() - 4)), 4);
  std::vector<uint8_t> codes(codes_.size());
  EXPECT_EQ(DecodeFrame(frame, receiver, 1, codes).code(), kDataLoss);
}

TEST_F(FrameCorruption, ABitPatternThatIsNoCodeIsRefused) {
  Sample sample;
  sample.shape = {8};
  sample.grid.bits = {1};
  const FrameBoundary boundary = BoundaryOf(sample, {{1, 0}});
  std::string frame = *EncodeFrame(boundary, 1, std::vector<uint8_t>(8, 0), {FrameCoding::kStatic, 1});
  ASSERT_EQ(frame[frame::kModeAt], 1);
  frame[frame.size() - 5] = 0x10;
  Put(frame, frame.size() - 4, Crc32c(std::as_bytes(std::span(frame)).first(frame.size() - 4)), 4);
  std::vector<uint8_t> codes(8);
  EXPECT_EQ(DecodeFrame(frame, boundary, 1, codes).code(), kDataLoss);
}

TEST_F(FrameCorruption, UnknownHeaderFieldsAreSkipped) {
  std::string frame = Frame(FrameCoding::kStatic);
  const auto header_bytes = static_cast<uint8_t>(frame[frame::kHeaderBytesAt]);
  frame.insert(header_bytes, "later");
  Put(frame, frame::kHeaderBytesAt, header_bytes + 5u, 2);
  EXPECT_TRUE(DecodeSealed(frame).ok()) << DecodeSealed(frame);
}

TEST_F(FrameCorruption, TheReceiversBufferAndBatchDecideNotTheFrame) {
  const std::string frame = Frame(FrameCoding::kStatic);
  std::vector<uint8_t> codes(2 * codes_.size());
  EXPECT_EQ(DecodeFrame(frame, boundary_, 2, codes).code(), kInvalid);
  EXPECT_EQ(DecodeFrame(frame, boundary_, 1, codes).code(), kInvalid);
  EXPECT_EQ(FrameBatch(frame, boundary_, 0).status().code(), kInvalid);
}

}  // namespace
}  // namespace bitstage
