// Whole-number allocation of precision: one measured option a layer, the cheapest set within a budget.
//
// A layer's options are points (cost, distortion), for instance 2…8 bits with their measured noise, binary and ternary
// codes among them. Distortions of layers are taken to add up. Of each layer only the lower convex hull matters to a
// greedy allocation; going along it the gain per cost falls, so taking the best step of any layer again and again
// passes through the optimum of every budget that it meets exactly (Shoham and Gersho 1988). Between these, and for
// options off the hull, it is a multiple-choice knapsack problem: partial choices are extended layer by layer, and
// those that are worse than others in both respects, or that could not beat the best known choice even if the rest were
// divisible, are dropped (Dyer, Kayal and Walker 1984, in the order of layers).
#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace bitstage {

struct PrecisionOption {
  double cost = 0;
  double distortion = 0;
};
using LayerOptions = std::vector<PrecisionOption>;

struct Allocation {
  std::vector<size_t> choice;  // an index into the options of each layer
  double cost = 0;
  double distortion = 0;
};

// Indices of the options on the lower convex hull, rising in cost, strictly falling in distortion.
std::vector<size_t> LowerHull(const LayerOptions& options);

// Every allocation that the greedy passes through, from the cheapest to the one of least distortion: the curve to plot.
// INVALID_ARGUMENT where a layer has no options or one that is not finite.
absl::StatusOr<std::vector<Allocation>> AllocationCurve(std::span<const LayerOptions> layers);

// Partial choices that may stay open at once (of ResNet-20's twenty layers with forty options each at most 1,300 do).
inline constexpr size_t kOpenChoices = 4096;
// What measured distortions cannot tell apart. Along the hull every layer pays alike for what it gets; a mix that fills
// a budget to its edge and is better by less is mostly chosen for the errors of the measurement (docs/accuracy.md).
inline constexpr double kWorthwhile = 0.05;

// The least distortion at a cost of at most `budget`: the curve's last point within it, and then whatever single steps
// still fit, the best per cost first; or, where that has less than 1 − worthwhile of its distortion, the best of all
// choices (exact, as long as no more than kOpenChoices stay open). With 0 the best of all in any case.
// FAILED_PRECONDITION where the cheapest options already cost more.
absl::StatusOr<Allocation> AllocateUnderCost(std::span<const LayerOptions> layers, double budget,
                                             double worthwhile = kWorthwhile);
// The least cost at a distortion of at most `budget`, in the same way. FAILED_PRECONDITION where the finest options
// already distort more.
absl::StatusOr<Allocation> AllocateUnderDistortion(std::span<const LayerOptions> layers, double budget,
                                                   double worthwhile = kWorthwhile);

}  // namespace bitstage
