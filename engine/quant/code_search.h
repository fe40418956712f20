// CodeSearch: codes for the output channels of one group of a layer, by what they do to the layer's output.
//
//   BITSTAGE_ASSIGN_OR_RETURN(CodeSearch search, CodeSearch::Create(weights, codes, first, count, hessian, damping));
//   search.FeedForward({});
//   while (rounds--) { search.FitScales(); search.Descend({}); }
//   search.Write(codes);
//
// What is minimised, row by row of e = w − ŵ, is   e H eᵀ + Σ_k step_k² price[code_k]   with the damped H = Σ x xᵀ.
// Prices are for codes that will be entropy-coded (rate.h); without them only the output's error counts.
#pragma once

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/quant/hessian.h"
#include "engine/tensor/weight_codes.h"

namespace bitstage {

// What each code costs in squared steps, −magnitude … magnitude; empty: nothing.
class CodePrices {
 public:
  CodePrices() = default;
  // Requires 2 · magnitude + 1 entries.
  explicit CodePrices(std::vector<double> prices) : prices_(std::move(prices)) {}
  [[nodiscard]] bool empty() const { return prices_.empty(); }
  [[nodiscard]] double Of(int code) const {
    return prices_.empty() ? 0.0 : prices_[static_cast<size_t>(code + static_cast<int>(prices_.size() / 2))];
  }

 private:
  std::vector<double> prices_;
};

class CodeSearch {
 public:
  CodeSearch() = default;  // of no channels
  // Output channels first … first + count − 1 of `codes`, whose codes and scales are the start. INVALID_ARGUMENT where
  // the Hessian is not finite.
  static absl::StatusOr<CodeSearch> Create(std::span<const float> weights, const WeightCodes& codes, int64_t first,
                                           int64_t count, const Hessian& hessian, double damping);

  // Second-order rounding (second_order.h): chooses all codes anew, column by column from the one that matters most,
  // each for the weight corrected by the errors already made.
  void FeedForward(const CodePrices& prices);
  // Moves single codes by one step, or to 0, as long as that pays; at most `sweeps` times over all.
  void Descend(const CodePrices& prices, int sweeps = 4);
  // For every output channel the scale with the least error for the codes it has:  (w H aᵀ) / (a H aᵀ),  ŵ = scale · a.
  // With one scale for the layer: nothing.
  void FitScales();

  // e H eᵀ of every row.
  [[nodiscard]] std::vector<double> Errors() const;
  // The geometric mean of the squares of the factor's diagonal: what a squared error in a weight costs once the others
  // have made up for as much of it as they can.
  [[nodiscard]] double MeanPivot() const;

  // Writes codes (and scales, where there is one a channel) of row `row`, or of all.
  void Write(int64_t row, WeightCodes& codes) const;
  void Write(WeightCodes& codes) const;

 private:
  [[nodiscard]] size_t At(int64_t row, int64_t k) const { return static_cast<size_t>(row * size_ + k); }
  [[nodiscard]] double Error(size_t at) const { return weights_[at] - steps_[at] * codes_[at]; }
  [[nodiscard]] std::vector<double> TimesHessian(const std::vector<double>& rows) const;
  [[nodiscard]] int Choose(double x, double weight, const CodePrices& prices) const;

  int64_t first_ = 0, count_ = 0, size_ = 0;
  Codebook codebook_ = Codebook::kUniform;
  int magnitude_ = 0;
  bool scale_per_channel_ = false;
  std::vector<int64_t> order_;           // position k stands for column order_[k]
  std::vector<double> lower_;            // L of the damped H, columns in that order
  std::vector<double> hessian_;          // the damped H itself
  std::vector<double> weights_, steps_;  // steps: scale · alpha of every column
  std::vector<double> scales_;
  std::vector<int8_t> codes_;
};

}  // namespace bitstage
