// Adaptive per-layer precision (Zhou, Moosavi-Dezfooli, Cheung, Frossard, AAAI 2018, arXiv 1712.01048): how many bits
// each layer's weights get, by what their noise does to the last feature vector z.
//
// Quantizing layer i to b_i bits moves z by noise of mean square p_i · e^(−α b_i), α = ln 4 (a bit halves the step).
// The answer changes when the noise reaches the margin ‖r*‖² = (z₁ − z₂)² / 2 of the two largest entries of z; t_i is
// the share of the margin that costs a chosen accuracy when layer i alone is disturbed. With s_i weights in layer i:
//     minimise Σ s_i b_i   subject to   Σ (p_i / t_i) e^(−α b_i) ≤ C
// By Lagrange, (p_i / t_i) e^(−α b_i) / s_i is the same for every layer: each layer's share of the noise is its share
// of the weights. With S = Σ s_j, (p_i / t_i) e^(−α b_i) = C s_i / S, hence
//     b_i = (1/α) · ln(p_i S / (t_i s_i C))
// The same serves activations with s_i the elements sent, or any other cost that grows linearly with the width.
#pragma once

#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"

namespace bitstage {

// α: natural logarithm of what one bit divides the noise power by.
inline constexpr double kNoisePerBit = 1.3862943611198906;

// ‖r*‖² of one image. Requires at least two entries.
double SquaredMargin(std::span<const float> z);

// p_i from the noise measured at `bits`:  mean‖r_zi‖² · e^(α · bits).
double NoiseCoefficient(double mean_squared_noise, double bits);

struct LayerNoise {
  double p = 1;  // noise coefficient
  double t = 1;  // robustness; equal p_i/t_i for all layers gives the allocation by SQNR
  double s = 1;  // weights
};

// b_i, fractional and not limited to any range. Requires positive entries.
std::vector<double> ClosedFormBits(std::span<const LayerNoise> layers, double noise_budget);
// Σ (p_i / t_i) e^(−α b_i).
double TotalNoise(std::span<const LayerNoise> layers, std::span<const double> bits);
// The layers' shares of it.
std::vector<double> NoiseShares(std::span<const LayerNoise> layers, std::span<const double> bits);
// Σ s_i b_i / Σ s_i.
double MeanBits(std::span<const LayerNoise> layers, std::span<const double> bits);
// The one width for all layers that has the same total noise.
double EqualBits(std::span<const LayerNoise> layers, double noise_budget);
// The allocation by SQNR: widths follow the layers' sizes alone (equal p_i/t_i), raised together until the true total
// noise meets the budget.
std::vector<double> SqnrBits(std::span<const LayerNoise> layers, double noise_budget);

// Whole widths near the fractional ones: every threshold on the fraction that gives another result is tried (round all
// down … round all up, half among them); widths are clamped to lowest…highest. No duplicates, rising in size.
std::vector<std::vector<int>> RoundingVariants(std::span<const double> bits, int lowest, int highest);

// The noise at which one layer costs a chosen accuracy. evaluate(scale) disturbs that layer alone by noise of `scale`
// times its unit pattern and returns the accuracy and the mean ‖r_z‖² that it caused. The scale is doubled or halved
// from `start` until it brackets target_accuracy, then bisected `steps` times; accuracy is taken to fall as noise
// rises. t_i = squared_noise / mean margin. FAILED_PRECONDITION where 40 doublings (halvings) do not bracket the
// target; an error from evaluate is returned.
struct NoiseEffect {
  double accuracy = 0;
  double squared_noise = 0;
};
struct Robustness {
  double scale = 0;
  double squared_noise = 0;
};
using EvaluateNoise = absl::FunctionRef<absl::StatusOr<NoiseEffect>(double scale)>;
absl::StatusOr<Robustness> NoiseForAccuracy(double target_accuracy, double start, int steps, EvaluateNoise evaluate);

}  // namespace bitstage
