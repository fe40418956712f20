#include "engine/quant/second_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/quant/dense.h"
#include "engine/quant/weights.h"

namespace bitstage {
namespace {

// The damped H of one group as L, its columns permuted: position k of L stands for column order[k].
struct Factor {
  std::vector<int64_t> order;
  std::vector<double> lower;  // row-major; above the diagonal 0
};

absl::StatusOr<Factor> FactorHessian(const Hessian& hessian, double damping) {
  const int64_t n = hessian.size();
  double mean = 0;
  for (int64_t i = 0; i < n; ++i) mean += hessian.At(i, i) / static_cast<double>(n);
  if (!std::isfinite(mean)) return absl::InvalidArgumentError("second-order rounding: the Hessian is not finite");
  Factor factor;
  factor.order.resize(static_cast<size_t>(n));
  std::iota(factor.order.begin(), factor.order.end(), int64_t{0});
  std::stable_sort(factor.order.begin(), factor.order.end(),
                   [&](int64_t a, int64_t b) { return hessian.At(a, a) < hessian.At(b, b); });
  // Without any input (mean 0) every direction counts the same.
  for (double damp = mean > 0 ? damping * mean : 1;; damp = std::max(damp * 10, 1e-6 * mean)) {
    factor.lower.assign(static_cast<size_t>(n * n), 0);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t row = factor.order[static_cast<size_t>(i)];
      for (int64_t j = 0; j <= i; ++j) {
        factor.lower[static_cast<size_t>(i * n + j)] = hessian.At(row, factor.order[static_cast<size_t>(j)]);
      }
      factor.lower[static_cast<size_t>(i * n + i)] += damp;
    }
    if (CholeskyInPlace(factor.lower, n)) break;
    if (!(damp < 1e6 * mean)) return absl::InvalidArgumentError("second-order rounding: the Hessian is not finite");
  }
  for (int64_t i = 0; i < n; ++i) std::fill_n(factor.lower.begin() + i * n + i + 1, n - i - 1, 0.0);
  return factor;
}

// The output channels of one group: weights, steps (scale · alpha of every column) and codes with columns permuted.
struct Rows {
  int64_t count;
  int64_t size;
  std::vector<double> weights;
  std::vector<double> steps;
  std::vector<int8_t> codes;

  [[nodiscard]] double Error(int64_t row, int64_t k) const {
    const auto at = static_cast<size_t>(row * size + k);
    return weights[at] - steps[at] * codes[at];
  }
};

Rows Gather(std::span<const float> weights, const WeightCodes& codes, int64_t first, int64_t count,
            const std::vector<int64_t>& order) {
  const auto size = static_cast<int64_t>(order.size());
  Rows rows{count, size, {}, {}, {}};
  const int64_t width = codes.shape.rank() == 4 ? codes.shape[3] : 1;
  const int64_t positions = codes.shape.rank() == 4 ? codes.shape[2] * width : 1;
  for (int64_t o = first; o < first + count; ++o) {
    for (const int64_t column : order) {
      const int64_t position = column % positions;
      const auto at = static_cast<size_t>(o * size + column);
      rows.weights.push_back(weights[at]);
      rows.steps.push_back(static_cast<double>(codes.ScaleOf(o)) * codes.AlphaOf(position / width, position % width));
      rows.codes.push_back(codes.codes[at]);
    }
  }
  return rows;
}

// ‖e L‖² of every row.
std::vector<double> Objectives(const Rows& rows, const std::vector<double>& lower) {
  constexpr int64_t kStrip = 256;
  const int64_t n = rows.size;
  std::vector<double> errors(static_cast<size_t>(rows.count * n));
  std::vector<double> products(static_cast<size_t>(rows.count * kStrip));
  std::vector<double> sums(static_cast<size_t>(rows.count));
  for (int64_t row = 0; row < rows.count; ++row) {
    for (int64_t k = 0; k < n; ++k) errors[static_cast<size_t>(row * n + k)] = rows.Error(row, k);
  }
  for (int64_t strip = 0; strip < n; strip += kStrip) {
    const int64_t width = std::min(kStrip, n - strip);
    std::fill(products.begin(), products.end(), 0.0);
    AddProduct(Sign::kPlus, rows.count, width, n - strip, errors.data() + strip, n, lower.data() + strip * n + strip, n,
               products.data(), kStrip);
    for (int64_t row = 0; row < rows.count; ++row) {
      for (int64_t k = 0; k < width; ++k) {
        const double product = products[static_cast<size_t>(row * kStrip + k)];
        sums[static_cast<size_t>(row)] += product * product;
      }
    }
  }
  return sums;
}

// Chooses all codes of `rows`, in blocks of columns: the feedback from blocks already done is one matrix product.
void ChooseCodes(Rows& rows, const std::vector<double>& lower, Codebook codebook, int magnitude) {
  constexpr int64_t kBlock = 64;
  const int64_t n = rows.size;
  std::vector<double> errors(static_cast<size_t>(rows.count * n));
  std::vector<double> feedback(static_cast<size_t>(rows.count * kBlock));
  for (int64_t end = n; end > 0;) {
    const int64_t begin = (end - 1) / kBlock * kBlock;
    std::fill(feedback.begin(), feedback.end(), 0.0);
    AddProduct(Sign::kPlus, rows.count, end - begin, n - end, errors.data() + end, n, lower.data() + end * n + begin, n,
               feedback.data(), kBlock);
    for (int64_t row = 0; row < rows.count; ++row) {
      double* error = errors.data() + row * n;
      for (int64_t k = end - 1; k >= begin; --k) {
        double sum = feedback[static_cast<size_t>(row * kBlock + k - begin)];
        for (int64_t j = k + 1; j < end; ++j) sum += error[j] * lower[static_cast<size_t>(j * n + k)];
        const auto at = static_cast<size_t>(row * n + k);
        const double corrected = rows.weights[at] + sum / lower[static_cast<size_t>(k * n + k)];
        rows.codes[at] = static_cast<int8_t>(NearestCode(corrected / rows.steps[at], codebook, magnitude));
        error[k] = rows.Error(row, k);
      }
    }
    end = begin;
  }
}

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
  const int64_t n = start.shape.InnerElements(0);
  const int64_t group_out = start.shape[0] / static_cast<int64_t>(hessians.size());
  for (size_t group = 0; group < hessians.size(); ++group) {
    BITSTAGE_ASSIGN_OR_RETURN(const Factor factor, FactorHessian(hessians[group], options.damping));
    const int64_t first = static_cast<int64_t>(group) * group_out;
    Rows rows = Gather(weights, start, first, group_out, factor.order);
    const std::vector<double> before = Objectives(rows, factor.lower);
    ChooseCodes(rows, factor.lower, start.codebook, start.MaxMagnitude());
    const std::vector<double> after = Objectives(rows, factor.lower);
    for (int64_t row = 0; row < group_out; ++row) {
      if (!(after[static_cast<size_t>(row)] < before[static_cast<size_t>(row)])) continue;
      for (int64_t k = 0; k < n; ++k) {
        const int64_t column = factor.order[static_cast<size_t>(k)];
        result.codes[static_cast<size_t>((first + row) * n + column)] = rows.codes[static_cast<size_t>(row * n + k)];
      }
    }
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
