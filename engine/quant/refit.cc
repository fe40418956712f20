#include "engine/quant/refit.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/quant/dense.h"

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

// By how much `changes` of weights move Σ ‖y − (W + Δ) x̂‖² over the inputs of `sums`:  Σ Δ H Δᵀ − 2 Δ Gᵀ.
double ErrorChange(std::span<const float> changes, const RefitSums& sums) {
  const int64_t n = sums.hessians[0].size();
  const auto rows = static_cast<int64_t>(changes.size() / sums.hessians.size()) / n;
  const std::vector<double> delta(changes.begin(), changes.end());
  std::vector<double> full(static_cast<size_t>(n * n));
  std::vector<double> products(static_cast<size_t>(rows * n));
  double change = 0;
  for (size_t group = 0; group < sums.hessians.size(); ++group) {
    const size_t first = group * products.size();
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) full[static_cast<size_t>(i * n + j)] = sums.hessians[group].At(i, j);
    }
    std::fill(products.begin(), products.end(), 0.0);
    AddProduct(Sign::kPlus, rows, n, n, delta.data() + first, n, full.data(), n, products.data(), n);
    for (size_t i = 0; i < products.size(); ++i) {
      change += delta[first + i] * (products[i] - 2 * static_cast<double>(sums.correlations[first + i]));
    }
  }
  return change;
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

void RefitSums::Add(const RefitSums& other) {
  for (size_t group = 0; group < other.hessians.size(); ++group) hessians[group].Add(other.hessians[group]);
  for (size_t i = 0; i < other.correlations.size(); ++i) correlations[i] += other.correlations[i];
}

absl::StatusOr<double> ChooseDamping(const RefitSums& fitted, const RefitSums& held_back) {
  const std::vector<float> origin(fitted.correlations.size());
  double least = std::numeric_limits<double>::infinity();
  double best = 0;
  for (const double damping : {0.01, 0.1, 1.0, 10.0}) {
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<float> changes,
                              RefitWeights(origin, fitted.correlations, fitted.hessians, {.damping = damping}));
    const double change = ErrorChange(changes, held_back);
    if (!(change < least)) break;  // from the best on, either way, it gets worse
    least = change;
    best = damping;
  }
  return best;
}

}  // namespace bitstage
