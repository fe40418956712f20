// Refit: float weights fitted anew to the inputs that the quantized layers before a layer really give it.
//
// The float layer computes y = W x, the quantized network has x̂ in place of x. The weights that come nearest to y from
// x̂, held near W by a ridge (least squares; centred, because the bias takes the means up):
//     W' = W + G · (H + λ I)⁻¹,   H = Σ x̂ x̂ᵀ,   G = Σ (y − W x̂) x̂ᵀ
// With x̂ = x nothing changes. Rounding W' instead of W makes a layer answer for the errors before it: the asymmetric
// form of second-order rounding (GPTAQ; Li et al. 2025, arXiv 2504.02692, §3).
#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/quant/hessian.h"

namespace bitstage {

struct RefitOptions {
  double damping = 0.01;  // λ over the mean of H's diagonal
};

// weights and correlations G: outputs x K, row-major, outputs/groups of them a group; hessians: one a group, K wide.
// INVALID_ARGUMENT for sizes that do not fit or sums that are not finite.
absl::StatusOr<std::vector<float>> RefitWeights(std::span<const float> weights, std::span<const float> correlations,
                                                std::span<const Hessian> hessians, const RefitOptions& options = {});

}  // namespace bitstage
