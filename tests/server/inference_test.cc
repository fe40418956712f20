#include "server/scheduling/inference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/fake_clock.h"
#include "tests/server/tiny_model.h"

namespace bitstage::server {
namespace {

class RunInferenceTest : public testing::Test {
 protected:
  RunInferenceTest() : executable_(*Executable::Compile(model_, {})), session_(executable_, /*max_batch=*/2, nullptr) {}

  absl::Status Run(const InputSource& input, const RequestState& state) {
    InferenceRequest request;
    request.batch = 2;
    request.inputs = {input};
    return RunInference(request, model_->preprocessing, state, clock_, session_, staging_, durations_);
  }

  FakeClock clock_;
  std::shared_ptr<const Model> model_ = std::make_shared<const Model>(TinyModel());
  std::shared_ptr<const Executable> executable_;
  Session session_;
  std::vector<MappedBuffer> staging_ = [] {
    std::vector<MappedBuffer> staging;
    staging.emplace_back(2 * 3 * 4 * 4 * sizeof(float));
    return staging;
  }();
  RunDurations durations_;
  const Tensor zeros_{DataType::kFloat32, {2, 3, 4, 4}};
  const std::vector<uint8_t> pixels_ = std::vector<uint8_t>(2 * 48, 1);
  const PixelImages images_{.channels_first = true, .height = 4, .width = 4, .channels = 3, .pixels = pixels_};
};

TEST_F(RunInferenceTest, RunsTensorsAndImages) {
  const RequestState state(clock_, Clock::TimePoint::max());
  ASSERT_TRUE(Run(zeros_.View(), state).ok());
  EXPECT_THAT(session_.Output(0).Span<float>(), testing::Each(0));
  ASSERT_TRUE(Run(images_, state).ok());
  EXPECT_THAT(session_.Output(0).Span<float>(), testing::Each(16));
}

TEST_F(RunInferenceTest, StopsBetweenLayersOnceNobodyWaits) {
  RequestState cancelled(clock_, Clock::TimePoint::max());
  cancelled.Cancel();
  EXPECT_TRUE(absl::IsCancelled(Run(zeros_.View(), cancelled)));
  RequestState aborted(clock_, Clock::TimePoint::max());
  aborted.Abort();
  EXPECT_TRUE(absl::IsUnavailable(Run(zeros_.View(), aborted)));
}

TEST_F(RunInferenceTest, StopsBetweenImagesOnceTheDeadlinePassed) {
  const RequestState state(clock_, clock_.Now() + std::chrono::milliseconds(5));
  EXPECT_TRUE(Run(images_, state).ok());
  clock_.Advance(std::chrono::milliseconds(5));
  EXPECT_TRUE(absl::IsDeadlineExceeded(Run(images_, state)));
}

}  // namespace
}  // namespace bitstage::server
