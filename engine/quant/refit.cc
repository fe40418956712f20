#include "engine/quant/refit.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"

namespace bitstage {
namespace {

// Solves x L Lᵀ = b in place, b a row.
void Solve(const std::vector<double>& lower, int64_t n, std::span<double> b) {
  for (int64_t i = 0; i < n; ++i) {
    const double* row = lower.data() + i * n;
    double value = b[static_cast<size_t>(i)];
    for (int64_t j = 0; j < i; ++j) value -= row[j] * b[static_cast<size_t>(j)];
    b[static_cast<size_t>(i)] = value / row[i];
  }
  for (int64_t i = n - 1; i >= 0; --i) {
    const double* row = lower.data() + i * n;
    const double value = b[static_cast<size_t>(i)] /= row[i];
    for (int64_t j = 0; j < i; ++j) b[static_cast<size_t>(j)] -= row[j] * value;
  }
}

}  // namespace

absl::StatusOr<std::vector<float>> RefitWeights(std::span<const float> weights, std::span<const float> correlations,
                                                std::span<const Hessian> hessians, const RefitOptions& options) {
  if (hessians.empty() || correlations.size() != weights.size() ||
      weights.size() % (hessians.size() * static_cast<size_t>(hessians[0].size())) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("refit: ", correlations.size(), " correlations and ",
                                                   hessians.size(), " Hessians for ", weights.size(), " weights"));
  }
  std::vector<float> refitted(weights.begin(), weights.end());
  const size_t group_weights = weights.size() / hessians.size();
  for (size_t group = 0; group < hessians.size(); ++group) {
    const int64_t n = hessians[group].size();
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<double> lower, DampedFactor(hessians[group], options.damping));
    std::vector<double> row(static_cast<size_t>(n));
    for (size_t at = group * group_weights; at < (group + 1) * group_weights; at += row.size()) {
      for (size_t k = 0; k < row.size(); ++k) row[k] = correlations[at + k];
      Solve(lower, n, row);
      for (size_t k = 0; k < row.size(); ++k) refitted[at + k] += static_cast<float>(row[k]);
    }
  }
  return refitted;
}

}  // namespace bitstage
