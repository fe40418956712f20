// Second-order rounding (GPTQ; Frantar et al. 2022, arXiv 2210.17323): codes that keep a layer's OUTPUT near, not its
// weights.
//
// For the weights w of one output channel the squared output error over the calibration inputs is e H eᵀ with
// e = w − ŵ and H = Σ x xᵀ. With H = L Lᵀ,   e H eᵀ = ‖e L‖² = Σ_k L_kk² · (e_k + Σ_(j>k) e_j L_jk / L_kk)².
// Taken from the last column to the first, every term depends on its own code and on codes already chosen alone, so
// each is made small in turn by rounding the corrected weight:
//     ŵ_k = nearest(w_k + Σ_(j>k) (w_j − ŵ_j) · L_jk / L_kk)
// This is the published error feedback through the Cholesky factor of H⁻¹ (its rows, normalised, are the columns of L
// in the reverse order), without the inverse. Columns stand in rising order of H's diagonal, so that they are taken in
// falling order. H is damped by a share of its mean diagonal.
#pragma once

#include <span>

#include "absl/status/statusor.h"
#include "engine/quant/hessian.h"
#include "engine/tensor/weight_codes.h"

namespace bitstage {

struct SecondOrderOptions {
  double damping = 0.01;  // of the mean of H's diagonal
  // Afterwards, so many times: the best scale a channel for the codes, then single codes moved as long as that lowers
  // the error (code_search.h). 0: the published algorithm, scales as they are.
  int rounds = 0;
};

// `start` rounded anew: its codebook and alphas stay, the codes are chosen as above. hessians: one a group,
// each I/groups · KH · KW wide. A channel whose error by the damped H would not fall keeps its codes, so that the
// result is never worse than `start`. INVALID_ARGUMENT for sizes that do not fit or a Hessian that is not finite.
absl::StatusOr<WeightCodes> RoundSecondOrder(std::span<const float> weights, const WeightCodes& start,
                                             std::span<const Hessian> hessians, const SecondOrderOptions& options = {});

// e H eᵀ summed over the output channels (H as it is, not damped): the squared output error over the calibration
// inputs.
double OutputError(std::span<const float> weights, const WeightCodes& codes, std::span<const Hessian> hessians);

}  // namespace bitstage
