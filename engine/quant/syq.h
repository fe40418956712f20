// SYQ weights (Faraone, Fraser, Blott, Leong, CVPR 2018, arXiv 1807.00301 §3): binary and ternary codes with one scale
// a subgroup of the kernel.
//
//   η = 0 (binary) or 0.05 · max|W| over the layer (ternary)
//   Q = sign(W), 0 where |W| < η          Ŵ = α_i · Q         i the subgroup of a weight
// Subgroups: kPixel K², one a kernel position, shared by all input and output channels · kRow K · kLayer 1 · and,
// beyond the paper, kChannel: one an output channel.
//
// Shapes are O x I/groups x KH x KW, or O x I (which has only kLayer and kChannel; its rows and pixels are the layer).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor/weight_codes.h"

namespace bitstage {

// How many subgroups there are, and the one of element `index` (row-major).
int64_t SyqSubgroups(const Shape& shape, ScaleKind kind);
int64_t SyqSubgroupOf(const Shape& shape, ScaleKind kind, int64_t index);

double SyqThreshold(std::span<const float> weights, Codebook codebook);
// Binary codes of 0 are +1: the codebook has no 0.
std::vector<int8_t> SyqCodes(std::span<const float> weights, double eta, Codebook codebook);

// The paper's start: α_i = mean |W| over the subgroup, the weights that become 0 included.
std::vector<double> SyqMeanAlphas(const Shape& shape, ScaleKind kind, std::span<const float> weights);
// The α_i that minimise Σ (W − α_i Q)² for given codes:  d/dα = 0  ⇒  α_i = Σ W·Q / Σ Q².  0 for a subgroup of zeros.
std::vector<double> SyqLeastSquaresAlphas(const Shape& shape, ScaleKind kind, std::span<const float> weights,
                                          std::span<const int8_t> codes);

// The straight-through backward pass for g = ∂E/∂Ŵ:
//   ∂E/∂W = α_i · g where |W| > η, else g        ∂E/∂α_i = Σ_{|W| > η} sign(W) · g
struct SyqGradients {
  std::vector<double> weights;
  std::vector<double> alphas;
};
SyqGradients SyqBackward(const Shape& shape, ScaleKind kind, std::span<const float> weights, double eta,
                         std::span<const double> alphas, std::span<const float> g);

inline constexpr int kMaxAlpha = 127;

// Codes and real alphas as WeightCodes: kLayer and kChannel keep their alphas as scales; kRow and kPixel get integers
// 1…max_alpha (at most kMaxAlpha) times one scale, which is chosen to minimise Σ n_i (α_i − scale · a_i)², n_i the
// codes of subgroup i that are not 0. Kinds that a rank-2 shape lacks become kLayer.
WeightCodes SyqWeights(const Shape& shape, Codebook codebook, ScaleKind kind, std::vector<int8_t> codes,
                       std::span<const double> alphas, int max_alpha = kMaxAlpha);

}  // namespace bitstage
