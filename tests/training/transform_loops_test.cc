#include "engine/training/transform_loops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace bitstage {
namespace {

constexpr int64_t kChannels = 21;  // no multiple of a vector
constexpr int64_t kPixels = 300;   // more than one block

std::vector<float> Random(size_t count, unsigned seed, float low, float high) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> values(count);
  for (float& x : values) x = uniform(generator);
  return values;
}

TransformCoefficients Coefficients(bool to_codes) {
  TransformCoefficients c;
  c.mult = Random(kChannels, 1, -0.2f, 0.2f);
  c.add = Random(kChannels, 2, -1, 9);
  c.residual_mult = Random(kChannels, 3, 0.5f, 1.5f);
  c.low.assign(kChannels, 0);
  c.high = Random(kChannels, 4, 5, 15);
  c.low_is_grid.assign(kChannels, 0);
  c.high_is_grid.assign(kChannels, 0);
  for (size_t i = 0; i < kChannels; i += 2) {
    c.high[i] = 15;
    c.high_is_grid[i] = 1;
  }
  c.to_codes = to_codes;
  return c;
}

struct Case {
  TransformCoefficients c;
  std::vector<float> acc = Random(kChannels * kPixels, 5, -100, 100);
  std::vector<float> residual = Random(kChannels * kPixels, 6, 0, 15);
  std::vector<float> grad = Random(kChannels * kPixels, 7, -1, 1);

  [[nodiscard]] float T(size_t i) const {
    const size_t o = i % kChannels;
    return std::fma(residual[i], c.residual_mult[o], std::fma(acc[i], c.mult[o], c.add[o]));
  }
};

TEST(TransformLoops, ForwardIsTheServedTransform) {
  for (const bool to_codes : {false, true}) {
    const Case k{Coefficients(to_codes)};
    std::vector<float> out(k.acc.size());
    TransformForward(k.c, kPixels, k.acc.data(), k.residual.data(), out.data());
    for (size_t i = 0; i < out.size(); ++i) {
      const size_t o = i % kChannels;
      const float clamped = std::min(std::max(k.T(i), k.c.low[o]), k.c.high[o]);
      EXPECT_EQ(out[i], to_codes ? std::rint(clamped) : clamped);
    }
  }
}

TEST(TransformLoops, BackwardIsStraightThroughInsideAndNothingOutside) {
  const Case k{Coefficients(true)};
  std::vector<float> grad_t(k.acc.size());
  TransformSums lsq;
  TransformBackward(k.c, StepGradient::kLearnRounding, kPixels, k.acc.data(), k.residual.data(), k.grad.data(),
                    grad_t.data(), lsq);
  TransformSums pact;
  TransformBackward(k.c, StepGradient::kLearnClip, kPixels, k.acc.data(), k.residual.data(), k.grad.data(),
                    grad_t.data(), pact);
  std::vector<double> sum(kChannels), sum_acc(kChannels), rounding(kChannels), clip(kChannels);
  for (size_t i = 0; i < grad_t.size(); ++i) {
    const size_t o = i % kChannels;
    const float t = k.T(i);
    const bool inside = t > k.c.low[o] && t < k.c.high[o];
    EXPECT_EQ(grad_t[i], inside ? k.grad[i] : 0);
    sum[o] += grad_t[i];
    sum_acc[o] += static_cast<double>(grad_t[i]) * k.acc[i];
    // Esser et al. 2020, eq. 3: inside u − t; where the grid's end clips, the end; Choi et al. 2018: only that.
    const float clamped = std::min(std::max(t, k.c.low[o]), k.c.high[o]);
    const float u = std::rint(clamped);
    const bool at_end = t >= k.c.high[o] && k.c.high_is_grid[o] == 1;
    rounding[o] += k.grad[i] * (at_end ? u : u - clamped);
    clip[o] += at_end ? k.grad[i] * u : 0;
  }
  for (size_t o = 0; o < kChannels; ++o) {
    EXPECT_NEAR(lsq.grad[o], sum[o], 1e-3);
    EXPECT_NEAR(lsq.grad_times_acc[o], sum_acc[o], 1e-1);
    EXPECT_NEAR(lsq.log_step[o], rounding[o], 1e-3);
    EXPECT_NEAR(pact.log_step[o], clip[o], 1e-3);
  }
}

TEST(TransformLoops, MomentsKeepTheirDigitsFarFromZero) {
  std::vector<float> x = Random(kChannels * kPixels, 8, -1, 1);
  for (float& value : x) value += 50000;
  std::vector<double> mean, variance;
  ChannelMoments(kPixels, kChannels, x.data(), mean, variance);
  for (size_t o = 0; o < kChannels; ++o) {
    double expected = 0;
    for (size_t i = o; i < x.size(); i += kChannels) expected += x[i] / static_cast<double>(kPixels);
    double square = 0;
    for (size_t i = o; i < x.size(); i += kChannels) square += (x[i] - expected) * (x[i] - expected) / kPixels;
    EXPECT_NEAR(mean[o], expected, 1e-4);
    EXPECT_NEAR(variance[o], square, 1e-4);
  }
}

}  // namespace
}  // namespace bitstage
