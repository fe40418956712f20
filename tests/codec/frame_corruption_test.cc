// Frames that are damaged or lie: each is refused, by the status that docs/frame-format.md names, within its bytes.
#include <gmock/gmock.h>

#include "engine/base/crc32c.h"
#include "engine/codec/frame.h"
#include "engine/codec/frame_format.h"
#include "engine/codec/kernel_choice.h"
#include "tests/codec/sample_boundary.h"

namespace bitstage {
namespace {

using testing::HasSubstr;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;
constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;

constexpr FrameCoding kCodings[] = {FrameCoding::kStored, FrameCoding::kPlain, FrameCoding::kInline,
                                    FrameCoding::kContexts, FrameCoding::kSplit};

Sample SmallSample() {
  Sample sample;
  sample.shape = {7, 5, 6};
  sample.grid.bits = {3};
  return sample;
}
// (2, 3) as the DQA paper splits it.
Sample SplitSample() {
  Sample sample;
  sample.shape = {7, 5, 6};
  sample.grid.bits = {5, 2, 2, 5, 2, 2};
  sample.grid.shift = {0, 3, 3, 0, 3, 3};
  return sample;
}

// A boundary, its codes and frames of every coding.
struct Scene {
  Sample sample;
  FrameBoundary boundary;
  std::vector<uint8_t> codes;

  explicit Scene(const Sample& from, bool pairs = false)
      : sample(from), boundary(BoundaryOf(from, CalibratedTables(from, pairs, 1))), codes(SkewedCodes(from, 2)) {}

  [[nodiscard]] std::string Frame(FrameCoding coding) const {
    const bool is_part = coding == FrameCoding::kContexts;  // one coding of all shall have the part's fields
    if (!is_part) return *EncodeFrame(boundary, sample.batch, codes, {coding});
    const auto row = static_cast<size_t>(boundary.width() * boundary.channels());
    return *EncodeFramePart(boundary, sample.batch, {1, 5}, std::span(codes).subspan(row, 5 * row), {coding});
  }
  // Decodes an exact copy on the heap, so that the address sanitizer sees a read beyond it; every set of kernels must
  // say the same.
  [[nodiscard]] absl::Status Decode(const std::string& frame) const {
    const std::vector<char> exact(frame.begin(), frame.end());
    absl::Status first;
    std::vector<uint8_t> first_codes;
    for (const codec::CellKernels* kernels : codec::SupportedKernels()) {
      std::vector<uint8_t> decoded(codes.size());
      const absl::Status status =
          DecodeFramePart(absl::string_view(exact.data(), exact.size()), boundary, sample.batch, decoded, kernels)
              .status();
      if (kernels == codec::SupportedKernels().front()) {
        first = status;
        first_codes = decoded;
      }
      EXPECT_EQ(status, first) << kernels->name;
      if (status.ok()) {
        EXPECT_EQ(decoded, first_codes) << kernels->name;
        EXPECT_TRUE(EncodeFrame(boundary, sample.batch, decoded).ok()) << "codes off the grid";
      }
    }
    return first;
  }
};

void SealChecksum(std::string& frame) {
  const size_t end = frame.size() - frame::kChecksumBytes;
  const uint32_t checksum = Crc32c(std::as_bytes(std::span(frame)).first(end));
  for (size_t i = 0; i < 4; ++i) frame[end + i] = static_cast<char>(checksum >> (8 * i) & 0xff);
}
std::string Flipped(std::string frame, size_t bit) {
  frame[bit / 8] = static_cast<char>(frame[bit / 8] ^ 1 << bit % 8);
  return frame;
}

TEST(FrameCorruption, EverySingleFlippedBitOfAThousandFramesIsRefused) {
  int frames = 0;
  for (uint32_t seed = 0; frames < 1000; ++seed) {
    const Sample sample = RandomSample(seed);
    const FrameBoundary boundary = BoundaryOf(sample, CalibratedTables(sample, false, seed));
    std::vector<uint8_t> codes = SkewedCodes(sample, seed + 1);
    for (const FrameCoding coding : kCodings) {
      const std::string frame = *EncodeFrame(boundary, sample.batch, codes, {coding});
      if (frame.size() > 600) continue;
      ++frames;
      for (size_t bit = 0; bit < frame.size() * 8; ++bit) {
        ASSERT_FALSE(DecodeFrame(Flipped(frame, bit), boundary, sample.batch, codes).ok()) << seed << ", bit " << bit;
      }
      for (size_t length = 0; length < frame.size(); ++length) {
        ASSERT_FALSE(DecodeFrame(frame.substr(0, length), boundary, sample.batch, codes).ok())
            << seed << ", " << length;
      }
      ASSERT_EQ(DecodeFrame(frame + '\0', boundary, sample.batch, codes).code(), kDataLoss);
    }
  }
}

TEST(FrameCorruption, DamageHasTheStatusOfTheDocument) {
  const Scene scene(SmallSample());
  const std::string frame = scene.Frame(FrameCoding::kPlain);
  ASSERT_TRUE(scene.Decode(frame).ok());
  EXPECT_EQ(scene.Decode(Flipped(frame, 0)).code(), kUnimplemented);  // version 3
  EXPECT_EQ(scene.Decode(Flipped(frame, 1)).code(), kInvalid);        // version 0
  EXPECT_EQ(scene.Decode(Flipped(frame, 7)).code(), kInvalid);        // magic
  for (size_t bit = 8; bit < frame.size() * 8; ++bit) EXPECT_EQ(scene.Decode(Flipped(frame, bit)).code(), kDataLoss);
  for (size_t length = 0; length < frame.size(); ++length) {
    EXPECT_EQ(scene.Decode(frame.substr(0, length)).code(), kDataLoss) << length;
  }
}

// Behind the checksum nothing may crash, every set of kernels says the same, and what is accepted lies on the grid.
TEST(FrameCorruption, FlippedBitsAndTruncationsWithARightChecksumNeverLeaveTheGrid) {
  for (const Scene& scene :
       {Scene(SmallSample()), Scene(SmallSample(), /*pairs=*/true), Scene(DqaSample()), Scene(SplitSample())}) {
    for (const FrameCoding coding : kCodings) {
      const std::string frame = scene.Frame(coding);
      ASSERT_TRUE(scene.Decode(frame).ok());
      for (size_t bit = 0; bit < (frame.size() - 4) * 8; ++bit) {
        std::string damaged = Flipped(frame, bit);
        SealChecksum(damaged);
        const absl::Status status = scene.Decode(damaged);
        EXPECT_TRUE(status.ok() || status.code() == kDataLoss || status.code() == kInvalid ||
                    status.code() == kUnimplemented)
            << status;
      }
      for (size_t length = frame::kMinFrameBytes; length < frame.size() && frame.size() < 128; ++length) {
        std::string damaged = frame.substr(0, length);
        damaged[frame::kNumbersAt] = static_cast<char>(length);
        SealChecksum(damaged);
        EXPECT_FALSE(scene.Decode(damaged).ok()) << length;
      }
    }
  }
}

TEST(FrameCorruption, HostileHeadersAreRefusedByName) {
  const Scene scene(SmallSample());
  const std::string whole = scene.Frame(FrameCoding::kPlain);    // 2 numbers, lane rows, base, width
  const std::string part = scene.Frame(FrameCoding::kContexts);  // 2 numbers, first row, rows, base, width
  ASSERT_LT(std::max(whole.size(), part.size()), 128u);          // frame_bytes takes one byte
  const size_t batch_at = frame::kNumbersAt + 1;
  struct Case {
    const char* what;
    const std::string* frame;
    size_t at;
    uint8_t value;
    absl::StatusCode expected;
    const char* message;
  };
  const Case cases[] = {
      {"mode 5", &whole, 1, 5, kInvalid, "unknown kind 5"},
      {"kind bit 6", &whole, 1, 0x41, kInvalid, "unknown kind 65"},
      {"pairs of a plain frame", &whole, 1, 1 | frame::kPairsBit, kInvalid, "pairs in mode 1"},
      {"identity", &whole, 2, static_cast<uint8_t>(whole[2] + 1), kInvalid, "another boundary"},
      {"batch 0", &whole, batch_at, 0, kInvalid, "0 images, expected 1"},
      {"batch 2", &whole, batch_at, 2, kInvalid, "2 images, expected 1"},
      {"no lane rows", &whole, batch_at + 1, 0, kInvalid, "lanes of 0 rows"},
      {"36 lane rows", &whole, batch_at + 1, 36, kInvalid, "lanes of 36 rows of cells, of 35"},
      {"an overlong number", &whole, batch_at, 0x81, kInvalid, ""},
      {"first row 7", &part, batch_at + 1, 7, kInvalid, "5 rows from row 7 on, of 7"},
      {"no rows", &part, batch_at + 2, 0, kInvalid, "0 rows from row 1"},
      {"127 rows", &part, batch_at + 2, 127, kInvalid, "127 rows from row 1"},
      {"a base beyond the payload", &part, batch_at + 3, 0x7f, kDataLoss, ""},
      {"a split of one width", &whole, 1, 4, kInvalid, "split"},
  };
  for (const Case& c : cases) {
    std::string frame = *c.frame;
    frame[c.at] = static_cast<char>(c.value);
    SealChecksum(frame);
    const absl::Status status = scene.Decode(frame);
    EXPECT_EQ(status.code(), c.expected) << c.what << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message)) << c.what;
  }
}

TEST(FrameCorruption, InlineTablesThatAreNoCodeAreRefused) {
  const Scene scene(SmallSample());
  const std::string frame = scene.Frame(FrameCoding::kInline);
  ASSERT_EQ(CodingOf(frame), FrameCoding::kInline);
  // Behind the numbers, one byte of width, the index; eight lengths take four bytes.
  bool has_over_subscribed = false;
  bool has_incomplete = false;
  for (size_t at = frame::kNumbersAt + 4; at < frame::kNumbersAt + 16; ++at) {
    for (const char* lengths : {"\x11\x11\x11\x11", "\x77\x77\x77\x77"}) {
      std::string damaged = frame;
      damaged.replace(at, 4, lengths, 4);
      SealChecksum(damaged);
      const std::string message(scene.Decode(damaged).message());
      has_over_subscribed |= message.find("over-subscribed") != std::string::npos;
      has_incomplete |= message.find("incomplete") != std::string::npos;
    }
  }
  EXPECT_TRUE(has_over_subscribed);
  EXPECT_TRUE(has_incomplete);
}

TEST(FrameCorruption, AnOddPixelsSecondSymbolAndBitsBehindTheLastAreRefused) {
  Sample sample;
  sample.shape = {1, 1, 1};
  sample.grid.bits = {1};
  BoundaryTables tables;
  tables.plain = {.pairs = true, .lengths = {{2, 2, 2, 2}}, .group_of_channel = {0}, .of_context = {}};
  const FrameBoundary boundary = BoundaryOf(sample, tables);
  // One cell of two bits; the code of a pair (a, b) is its number, first bit first.
  std::string frame(2 + 4 + 1 + 1 + 1 + 1 + 1 + 1 + 4, '\0');
  frame[0] = static_cast<char>(frame::kMagic | frame::kVersion);
  frame[1] = 1;
  for (int i = 0; i < 4; ++i)
    frame[2 + static_cast<size_t>(i)] = static_cast<char>(boundary.identity() >> (8 * i) & 0xff);
  frame[6] = static_cast<char>(frame.size());
  frame[7] = 1;                           // batch
  frame[8] = 1;                           // lane rows
  frame[10] = static_cast<char>(6 << 5);  // padding
  const auto decode = [&](int payload, uint8_t& code) {
    frame[11] = static_cast<char>(payload);
    SealChecksum(frame);
    return DecodeFrame(frame, boundary, 1, std::span(&code, 1));
  };
  uint8_t code = 9;
  EXPECT_TRUE(decode(0b00, code).ok());
  EXPECT_EQ(code, 0);
  EXPECT_TRUE(decode(0b10, code).ok());  // cell 1: a = 1, b = 0
  EXPECT_EQ(code, 1);
  EXPECT_EQ(decode(0b01, code).code(), kDataLoss);   // cell 2: b = 1
  EXPECT_EQ(decode(0b100, code).code(), kDataLoss);  // a bit behind the last
}

TEST(FrameCorruption, ExtensionsAreSkipped) {
  const Scene scene(SmallSample());
  std::string frame = scene.Frame(FrameCoding::kPlain);
  frame[1] = static_cast<char>(frame[1] | frame::kExtensionBit);
  frame.insert(frame::kNumbersAt + 2, "\3abc", 4);
  ASSERT_LT(frame.size(), 128u);  // frame_bytes takes one byte
  frame[frame::kNumbersAt] = static_cast<char>(frame.size());
  SealChecksum(frame);
  EXPECT_TRUE(scene.Decode(frame).ok()) << scene.Decode(frame);
}

TEST(FrameCorruption, TheReceiversBufferAndBatchDecideNotTheFrame) {
  Sample sample = DqaSample();
  sample.batch = 2;
  const FrameBoundary boundary = BoundaryOf(sample);
  const std::string frame = *EncodeFrame(boundary, 2, SkewedCodes(sample, 1));
  std::vector<uint8_t> codes(210);
  EXPECT_EQ(DecodeFrame(frame, boundary, 1, codes).code(), kInvalid);
  EXPECT_EQ(DecodeFrame(frame, boundary, 2, codes).code(), kInvalid);
  EXPECT_EQ(FrameBatch(frame, boundary, 1).status().code(), kInvalid);
  EXPECT_EQ(*FrameBatch(frame, boundary, 2), 2);
  EXPECT_EQ(FrameBatch(frame.substr(0, 8), boundary, 2).status().code(), kDataLoss);
}

}  // namespace
}  // namespace bitstage
