// A thousand frames of a real network: every single flipped bit and every truncation is refused.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "engine/base/progress.h"
#include "engine/codec/frame.h"
#include "engine/compression/boundary_statistics.h"
#include "engine/compression/coding_choice.h"
#include "tests/frames/block_tensors.h"
#include "tests/support/shared_data.h"

namespace bitstage {
namespace {

constexpr int kFrames = 1000;
constexpr std::array kCodings = {FrameCoding::kStored, FrameCoding::kPlain, FrameCoding::kInline,
                                 FrameCoding::kContexts};

struct RealFrame {
  std::shared_ptr<const FrameBoundary> boundary;
  std::string bytes;
  size_t codes;
};

// Of all nine blocks of ResNet-20, 3 and 4 bits wide, in every coding that their grids allow: image after image.
std::vector<RealFrame> RealFrames(const std::string& network, const std::string& images) {
  std::vector<std::vector<RealFrame>> by_image(14);
  for (const int bits : {3, 4}) {
    const auto tensors =
        BlockTensors(network, images, bits, {.calibration = 8, .coded = static_cast<int>(by_image.size())});
    EXPECT_TRUE(tensors.ok()) << tensors.status();
    for (const BlockTensor& tensor : *tensors) {
      const BoundaryTables tables =
          MakeBoundaryTables(tensor.grid, tensor.shape, 8, tensor.calibration, kMaxLinkForContexts);
      const auto boundary =
          std::make_shared<const FrameBoundary>(*FrameBoundary::Create(tensor.name, tensor.shape, tensor.grid, tables));
      const auto elements = static_cast<size_t>(tensor.shape.elements());
      for (size_t image = 0; image < by_image.size(); ++image) {
        const std::span<const uint8_t> codes = std::span(tensor.codes).subspan(image * elements, elements);
        for (const FrameCoding coding : kCodings) {
          by_image[image].push_back({boundary, *EncodeFrame(*boundary, 1, codes, {.coding = coding}), elements});
          EXPECT_EQ(CodingOf(by_image[image].back().bytes), coding) << tensor.name;
        }
      }
    }
  }
  std::vector<RealFrame> frames;
  for (std::vector<RealFrame>& of_image : by_image) {
    for (RealFrame& frame : of_image) {
      if (frames.size() < kFrames) frames.push_back(std::move(frame));
    }
  }
  return frames;
}

class Damage {
 public:
  explicit Damage(const RealFrame& frame) : frame_(frame), bytes_(frame.bytes), codes_(frame.codes) {}

  void Flip(size_t bit) {
    bytes_[bit / 8] = static_cast<char>(bytes_[bit / 8] ^ 1 << bit % 8);
    ASSERT_FALSE(IsAccepted(bytes_)) << "bit " << bit << " of " << frame_.boundary->name();
    bytes_[bit / 8] = static_cast<char>(bytes_[bit / 8] ^ 1 << bit % 8);
  }
  void Truncate(size_t length) {
    ASSERT_FALSE(IsAccepted(absl::string_view(bytes_).substr(0, length))) << length << " of " << bytes_.size();
  }
  [[nodiscard]] bool IsAccepted(absl::string_view frame) {
    return DecodeFrame(frame, *frame_.boundary, 1, codes_).ok();
  }

 private:
  const RealFrame& frame_;
  std::string bytes_;
  std::vector<uint8_t> codes_;
};

TEST(FrameDamage, FlippedBitsAndTruncationsOfAThousandRealFramesAreRefused) {
  const std::vector<RealFrame> frames = RealFrames(BITSTAGE_SHARED_OR_SKIP("data/models/cifar10_resnet20/model.onnx"),
                                                   BITSTAGE_SHARED_OR_SKIP("data/cifar10/test_batch_first800.bin"));
  ASSERT_EQ(frames.size(), size_t{kFrames});
  std::mt19937 random(1);
  for (const RealFrame& frame : frames) {
    Damage damage(frame);
    ASSERT_TRUE(damage.IsAccepted(frame.bytes));
    const size_t bits = 8 * frame.bytes.size();
    // The header and the checksum whole, some of the rest.
    for (size_t bit = 0; bit < 8 * 24; ++bit) damage.Flip(bit);
    for (size_t bit = bits - 8 * 5; bit < bits; ++bit) damage.Flip(bit);
    for (int i = 0; i < 64; ++i) damage.Flip(random() % bits);
    for (size_t length = 0; length < 24; ++length) damage.Truncate(length);
    for (size_t less = 1; less < 6; ++less) damage.Truncate(frame.bytes.size() - less);
    for (int i = 0; i < 16; ++i) damage.Truncate(random() % frame.bytes.size());
    if (HasFatalFailure()) return;
  }
}

// A minute on a free core; run by hand: frames_test --gtest_also_run_disabled_tests --gtest_filter='FrameDamage*'
TEST(FrameDamage, DISABLED_EveryFlippedBitAndTruncationOfAThousandRealFramesIsRefused) {
  const std::vector<RealFrame> frames = RealFrames(BITSTAGE_SHARED_OR_SKIP("data/models/cifar10_resnet20/model.onnx"),
                                                   BITSTAGE_SHARED_OR_SKIP("data/cifar10/test_batch_first800.bin"));
  ASSERT_EQ(frames.size(), size_t{kFrames});
  Progress progress("frames damaged", kFrames, Progress::StandardError());
  size_t bits = 0;
  size_t lengths = 0;
  for (const RealFrame& frame : frames) {
    Damage damage(frame);
    ASSERT_TRUE(damage.IsAccepted(frame.bytes));
    for (size_t bit = 0; bit < 8 * frame.bytes.size(); ++bit) damage.Flip(bit);
    for (size_t length = 0; length < frame.bytes.size(); ++length) damage.Truncate(length);
    if (HasFatalFailure()) return;
    bits += 8 * frame.bytes.size();
    lengths += frame.bytes.size();
    progress.Advance();
  }
  std::printf("%zu frames: %zu flipped bits and %zu truncations refused\n", frames.size(), bits, lengths);
}

}  // namespace
}  // namespace bitstage
