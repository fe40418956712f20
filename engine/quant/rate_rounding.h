// RoundForRate: uniform codes for a layer whose codes will be entropy-coded, so that what they take is their entropy,
// not their width.
//
// Of a layer's codes both the output error (second_order.h) and the coded bits count:
//     minimise   Σ_o e_o H e_oᵀ + λ · bits        e = w − ŵ,  bits = Σ −log2 p(code)
// with p from how often the codes occur. At high rate a uniform step d costs d² g / 12 a weight, g the geometric mean
// of H's Cholesky pivots, and a bit more divides that by four; the slope of that exchange is λ = (ln 4) d² g / 12
// (entropy-constrained scalar quantization; Gish and Pierce 1968). Codes are chosen by feed-forward and descent with a
// share of λ times their bits as prices, prices, scales and codes in turn.
#pragma once

#include <span>

#include "absl/status/statusor.h"
#include "engine/quant/hessian.h"
#include "engine/tensor/weight_codes.h"

namespace bitstage {

struct RateOptions {
  // The steps are those at which Gaussian weights would have noise of variance · 4^−bits. What codes really take
  // differs by a few tenths. Positive.
  double bits = 4;
  double damping = 0.01;  // of the mean of H's diagonal
};

// Codes with a scale a channel, in the narrowest width that holds them. `hessians`: one a group. INVALID_ARGUMENT for
// sizes that do not fit or a Hessian that is not finite.
absl::StatusOr<WeightCodes> RoundForRate(const Shape& shape, std::span<const float> weights,
                                         std::span<const Hessian> hessians, const RateOptions& options);

// Entropy of the codes: the bits a weight that an ideal coder with one table needs.
double EntropyBits(std::span<const int8_t> codes);

}  // namespace bitstage
