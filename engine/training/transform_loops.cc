#include "engine/training/transform_loops.h"

#include <algorithm>
#include <cmath>

// The compiler makes a copy of each loop for these instruction sets; the processor's is taken when the program starts.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)  // whose runtime is not there yet when copies are chosen
#define BITSTAGE_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define BITSTAGE_CLONES
#endif

namespace bitstage {
namespace {

// Pixels whose sums are kept in floats before they are added in double.
constexpr int64_t kBlock = 128;

float Round(float x) { return std::nearbyint(x); }

}  // namespace

// Not in the unnamed namespace: clones of local functions are not resolved by every linker.
namespace transform_loops {

struct Pointers {
  const float* __restrict mult, * __restrict add, * __restrict residual_mult, * __restrict low, * __restrict high;
  const float* __restrict low_is_grid, * __restrict high_is_grid;
  float zero;
};

BITSTAGE_CLONES void Forward(const Pointers p, bool to_codes, int64_t pixels, int64_t channels, const float* acc,
                             const float* residual, float* __restrict out) {
  for (int64_t i = 0; i < pixels; ++i, acc += channels, out += channels) {
    if (residual == nullptr) {
      for (int64_t c = 0; c < channels; ++c) {
        const float t = std::fma(acc[c], p.mult[c], p.add[c]);
        out[c] = std::min(std::max(t, p.low[c]), p.high[c]);
      }
    } else {
      for (int64_t c = 0; c < channels; ++c) {
        const float t = std::fma(residual[c], p.residual_mult[c], std::fma(acc[c], p.mult[c], p.add[c]));
        out[c] = std::min(std::max(t, p.low[c]), p.high[c]);
      }
      residual += channels;
    }
    if (to_codes) {
      for (int64_t c = 0; c < channels; ++c) out[c] = Round(out[c]);
    }
  }
}

// One block: float sums. `zeros` stands in for a residual that is not there.
BITSTAGE_CLONES void Backward(const Pointers p, bool learn_rounding, int64_t pixels, int64_t channels, const float* acc,
                              const float* residual, int64_t residual_stride, const float* grad,
                              float* __restrict grad_t, float* __restrict sum, float* __restrict sum_acc,
                              float* __restrict sum_step) {
  const float rounding = learn_rounding ? 1.0f : 0.0f;
  for (int64_t i = 0; i < pixels; ++i) {
    for (int64_t c = 0; c < channels; ++c) {
      const float t = std::fma(residual[c], p.residual_mult[c], std::fma(acc[c], p.mult[c], p.add[c]));
      const float clamped = std::min(std::max(t, p.low[c]), p.high[c]);
      const float g = grad[c];
      // Products in place of choices: the loop has no branches.
      const float below = t <= p.low[c] ? 1.0f : 0.0f;
      const float above = t >= p.high[c] ? 1.0f : 0.0f;
      const float inside = (1.0f - below) * (1.0f - above);
      const float at_end = std::max(below * p.low_is_grid[c], above * p.high_is_grid[c]);
      const float u = Round(clamped);
      sum_step[c] += g * (at_end * (u - p.zero) + (1.0f - at_end) * rounding * (u - clamped));
      const float gt = g * inside;
      sum[c] += gt;
      sum_acc[c] += gt * acc[c];
      grad_t[c] = gt;
    }
    acc += channels;
    residual += residual_stride;
    grad += channels;
    grad_t += channels;
  }
}

BITSTAGE_CLONES void Moments(int64_t pixels, int64_t channels, const float* x, const float* shift,
                             float* __restrict sum, float* __restrict square) {
  for (int64_t i = 0; i < pixels; ++i, x += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      const float d = x[c] - shift[c];
      sum[c] += d;
      square[c] += d * d;
    }
  }
}

BITSTAGE_CLONES void Scale(int64_t pixels, int64_t channels, const float* a, const float* x, float* __restrict y) {
  for (int64_t i = 0; i < pixels; ++i, x += channels, y += channels) {
    for (int64_t c = 0; c < channels; ++c) y[c] = a[c] * x[c];
  }
}

BITSTAGE_CLONES void Combine(int64_t pixels, int64_t channels, const float* a, const float* x, const float* b,
                             const float* z, const float* k, float* __restrict y) {
  for (int64_t i = 0; i < pixels; ++i, x += channels, y += channels, z += channels) {
    for (int64_t c = 0; c < channels; ++c) y[c] = a[c] * x[c] + b[c] * z[c] + k[c];
  }
}

}  // namespace transform_loops

namespace {

transform_loops::Pointers PointersOf(const TransformCoefficients& c, const float* residual_mult) {
  return {c.mult.data(), c.add.data(),         residual_mult,         c.low.data(),
          c.high.data(), c.low_is_grid.data(), c.high_is_grid.data(), c.zero_point};
}

void AddTo(const std::vector<float>& part, std::vector<double>& total) {
  for (size_t c = 0; c < part.size(); ++c) total[c] += part[c];
}

}  // namespace

void TransformForward(const TransformCoefficients& c, int64_t pixels, const float* acc, const float* residual,
                      float* out) {
  transform_loops::Forward(PointersOf(c, c.residual_mult.data()), c.to_codes, pixels,
                           static_cast<int64_t>(c.mult.size()), acc, residual, out);
}

void TransformBackward(const TransformCoefficients& c, StepGradient kind, int64_t pixels, const float* acc,
                       const float* residual, const float* grad, float* grad_t, TransformSums& sums) {
  const size_t channels = c.mult.size();
  const auto stride = static_cast<int64_t>(channels);
  const std::vector<float> zeros(channels);
  const bool has_residual = residual != nullptr;
  const transform_loops::Pointers pointers = PointersOf(c, has_residual ? c.residual_mult.data() : zeros.data());
  for (std::vector<double>* total : {&sums.grad, &sums.grad_times_acc, &sums.log_step}) total->resize(channels);
  std::vector<float> sum(channels);
  std::vector<float> sum_acc(channels);
  std::vector<float> sum_step(channels);
  for (int64_t begin = 0; begin < pixels; begin += kBlock) {
    for (std::vector<float>* part : {&sum, &sum_acc, &sum_step}) std::fill(part->begin(), part->end(), 0.0f);
    const int64_t at = begin * stride;
    transform_loops::Backward(pointers, kind == StepGradient::kLearnRounding, std::min(kBlock, pixels - begin), stride,
                              acc + at, has_residual ? residual + at : zeros.data(), has_residual ? stride : 0,
                              grad + at, grad_t + at, sum.data(), sum_acc.data(), sum_step.data());
    AddTo(sum, sums.grad);
    AddTo(sum_acc, sums.grad_times_acc);
    AddTo(sum_step, sums.log_step);
  }
}

void ChannelMoments(int64_t pixels, int64_t channels, const float* x, std::vector<double>& mean,
                    std::vector<double>& variance) {
  const auto count = static_cast<size_t>(channels);
  // Around the first pixel's values: a mean far from 0 costs no digits.
  const std::vector<float> shift(x, x + channels);
  std::vector<float> sum(count);
  std::vector<float> square(count);
  mean.assign(count, 0);
  variance.assign(count, 0);
  for (int64_t begin = 0; begin < pixels; begin += kBlock) {
    std::fill(sum.begin(), sum.end(), 0.0f);
    std::fill(square.begin(), square.end(), 0.0f);
    transform_loops::Moments(std::min(kBlock, pixels - begin), channels, x + begin * channels, shift.data(), sum.data(),
                             square.data());
    AddTo(sum, mean);
    AddTo(square, variance);
  }
  for (size_t c = 0; c < count; ++c) {
    const double offset = mean[c] / static_cast<double>(pixels);
    variance[c] = std::max(0.0, variance[c] / static_cast<double>(pixels) - offset * offset);
    mean[c] = shift[c] + offset;
  }
}

void ScaleChannels(int64_t pixels, const std::vector<float>& a, const float* x, float* y) {
  transform_loops::Scale(pixels, static_cast<int64_t>(a.size()), a.data(), x, y);
}

void CombineChannels(int64_t pixels, const std::vector<float>& a, const float* x, const std::vector<float>& b,
                     const float* z, const std::vector<float>& c, float* y) {
  transform_loops::Combine(pixels, static_cast<int64_t>(a.size()), a.data(), x, b.data(), z, c.data(), y);
}

}  // namespace bitstage
