#include "engine/quant/hessian.h"

#include <algorithm>
#include <cmath>

#include "engine/quant/dense.h"

namespace bitstage {

Hessian::Hessian(int64_t size) : size_(size), sums_(static_cast<size_t>(size * size)) {}

Hessian Hessian::Diagonal(std::span<const double> diagonal, int64_t rows) {
  Hessian hessian(static_cast<int64_t>(diagonal.size()));
  hessian.rows_ = rows;
  for (size_t i = 0; i < diagonal.size(); ++i) {
    hessian.sums_[i * diagonal.size() + i] = static_cast<float>(diagonal[i]);
  }
  return hessian;
}

void Hessian::Add(std::span<const float> rows) {
  constexpr int64_t kChunk = 256;
  constexpr int64_t kStrip = 256;
  const int64_t count = static_cast<int64_t>(rows.size()) / size_;
  std::vector<float> transposed(static_cast<size_t>(size_ * std::min(kChunk, count)));
  for (int64_t from = 0; from < count; from += kChunk) {
    const int64_t chunk = std::min(kChunk, count - from);
    const float* x = rows.data() + from * size_;
    for (int64_t r = 0; r < chunk; ++r) {
      for (int64_t i = 0; i < size_; ++i) transposed[static_cast<size_t>(i * chunk + r)] = x[r * size_ + i];
    }
    for (int64_t strip = 0; strip < size_; strip += kStrip) {
      AddProduct(Sign::kPlus, size_ - strip, std::min(kStrip, size_ - strip), chunk, transposed.data() + strip * chunk,
                 chunk, x + strip, size_, sums_.data() + strip * size_ + strip, size_);
    }
  }
  rows_ += count;
}

void Hessian::Add(const Hessian& other) {
  for (size_t i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  rows_ += other.rows_;
}

absl::StatusOr<std::vector<double>> DampedFactor(const Hessian& hessian, double damping,
                                                 std::span<const int64_t> order) {
  constexpr double kLeastShare = 1e-6;  // of the mean diagonal, where `damping` was not enough
  constexpr double kMostShare = 1e6;
  const int64_t n = hessian.size();
  double mean = 0;
  for (int64_t i = 0; i < n; ++i) mean += hessian.At(i, i) / static_cast<double>(n);
  std::vector<double> lower(static_cast<size_t>(n * n));
  for (double share = damping; std::isfinite(mean) && share < kMostShare; share = std::max(share * 10, kLeastShare)) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t row = order.empty() ? i : order[static_cast<size_t>(i)];
      for (int64_t j = 0; j <= i; ++j) {
        lower[static_cast<size_t>(i * n + j)] = hessian.At(row, order.empty() ? j : order[static_cast<size_t>(j)]);
      }
      lower[static_cast<size_t>(i * n + i)] += mean > 0 ? share * mean : 1;
    }
    if (!CholeskyInPlace(lower, n)) continue;
    for (int64_t i = 0; i < n; ++i) std::fill_n(lower.begin() + i * n + i + 1, n - i - 1, 0.0);
    return lower;
  }
  return absl::InvalidArgumentError("the second moments of the layer's inputs are not finite");
}

}  // namespace bitstage
