// The output transform of docs/integer-arithmetic.md §3 over float accumulators, forwards and backwards.
//
//   t = fma(acc, mult, add)   t = fma(residual, residual_mult, t)   u = rint(clamp(t, low, high))
//
// Arrays are [pixels] x [channels], channels innermost; accumulators and codes are whole numbers held as floats.
// Backwards the rounding counts as the identity (straight-through) and the clamp as what it is. Every loop goes over
// channels element by element, so the bits do not depend on the width of the vectors it is compiled to.
#pragma once

#include <cstdint>
#include <vector>

namespace bitstage {

// One entry a channel.
struct TransformCoefficients {
  std::vector<float> mult, add, residual_mult, low, high;
  // 1 where low (high) is the end of the grid rather than a clamp of the network: what is clipped there moves with the
  // step.
  std::vector<float> low_is_grid, high_is_grid;
  bool to_codes = false;  // else u = clamp(t), not rounded
  float zero_point = 0;
};

// What backwards sums over pixels; one entry a channel.
struct TransformSums {
  std::vector<double> grad;            // Σ ∂E/∂t
  std::vector<double> grad_times_acc;  // Σ ∂E/∂t · acc
  std::vector<double> log_step;        // Σ ∂E/∂u · ∂u/∂(log step), by `clip` below
};

// How the step learns from one element, x̂ = step · (u − z):
//   kLearnRounding (LSQ)  ∂x̂/∂log step = step · (u − t) inside, step · (u − z) where the grid's end clips
//   kLearnClip (PACT)     only the latter
enum class StepGradient : uint8_t { kLearnRounding, kLearnClip };

// residual may be null. `out` may not overlap.
void TransformForward(const TransformCoefficients& c, int64_t pixels, const float* acc, const float* residual,
                      float* out);

// From grad = ∂E/∂u: writes ∂E/∂t to grad_t (which may not overlap) and adds to `sums`.
void TransformBackward(const TransformCoefficients& c, StepGradient kind, int64_t pixels, const float* acc,
                       const float* residual, const float* grad, float* grad_t, TransformSums& sums);

// Mean and variance (of the population) of every channel.
void ChannelMoments(int64_t pixels, int64_t channels, const float* x, std::vector<double>& mean,
                    std::vector<double>& variance);

// y = a · x, and y = a · x + b · z + c: factors by channel.
void ScaleChannels(int64_t pixels, const std::vector<float>& a, const float* x, float* y);
void CombineChannels(int64_t pixels, const std::vector<float>& a, const float* x, const std::vector<float>& b,
                     const float* z, const std::vector<float>& c, float* y);

}  // namespace bitstage
