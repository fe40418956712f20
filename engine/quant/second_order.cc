#include "engine/quant/second_order.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/quant/code_search.h"

namespace bitstage {
namespace {

absl::Status CheckSizes(std::span<const float> weights, const WeightCodes& start, std::span<const Hessian> hessians) {
  BITSTAGE_RETURN_IF_ERROR(Validate(start));
  if (weights.size() != start.codes.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("second-order rounding: ", weights.size(), " weights for ", start.codes.size(), " codes"));
  }
  const auto groups = static_cast<int64_t>(hessians.size());
  if (groups < 1 || start.shape[0] % groups != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("second-order rounding: ", groups, " Hessians for ", start.shape[0], " output channels"));
  }
  for (const Hessian& hessian : hessians) {
    if (hessian.size() == start.shape.InnerElements(0)) continue;
    return absl::InvalidArgumentError(absl::StrCat("second-order rounding: a Hessian of size ", hessian.size(),
                                                   " for weights of shape ", start.shape.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<WeightCodes> RoundSecondOrder(std::span<const float> weights, const WeightCodes& start,
                                             std::span<const Hessian> hessians, const SecondOrderOptions& options) {
  BITSTAGE_RETURN_IF_ERROR(CheckSizes(weights, start, hessians));
  WeightCodes result = start;
  const int64_t group_out = start.shape[0] / static_cast<int64_t>(hessians.size());
  for (size_t group = 0; group < hessians.size(); ++group) {
    const int64_t first = static_cast<int64_t>(group) * group_out;
    BITSTAGE_ASSIGN_OR_RETURN(CodeSearch search,
                              CodeSearch::Create(weights, start, first, group_out, hessians[group], options.damping));
    std::vector<double> least = search.Errors();
    const auto keep_better = [&] {
      const std::vector<double> errors = search.Errors();
      for (int64_t row = 0; row < group_out; ++row) {
        if (!(errors[static_cast<size_t>(row)] < least[static_cast<size_t>(row)])) continue;
        least[static_cast<size_t>(row)] = errors[static_cast<size_t>(row)];
        search.Write(row, result);
      }
    };
    search.FeedForward({});
    keep_better();
    for (int round = 0; round < options.rounds; ++round) {
      search.FitScales();
      search.Descend({});
    }
    if (options.rounds > 0) keep_better();
  }
  return result;
}

double OutputError(std::span<const float> weights, const WeightCodes& codes, std::span<const Hessian> hessians) {
  const int64_t n = codes.shape.InnerElements(0);
  const int64_t group_out = codes.shape[0] / static_cast<int64_t>(hessians.size());
  const std::vector<float> quantized = codes.Dequantized();
  double total = 0;
  std::vector<double> error(static_cast<size_t>(n));
  for (int64_t o = 0; o < codes.shape[0]; ++o) {
    const Hessian& hessian = hessians[static_cast<size_t>(o / group_out)];
    for (int64_t k = 0; k < n; ++k) {
      const auto at = static_cast<size_t>(o * n + k);
      error[static_cast<size_t>(k)] = static_cast<double>(weights[at]) - quantized[at];
    }
    for (int64_t i = 0; i < n; ++i) {
      double sum = 0;
      for (int64_t j = 0; j < n; ++j) sum += hessian.At(i, j) * error[static_cast<size_t>(j)];
      total += error[static_cast<size_t>(i)] * sum;
    }
  }
  return total;
}

}  // namespace bitstage
