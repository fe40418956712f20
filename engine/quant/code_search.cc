#include "engine/quant/code_search.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "engine/base/status_macros.h"
#include "engine/quant/dense.h"
#include "engine/quant/weights.h"

namespace bitstage {

absl::StatusOr<CodeSearch> CodeSearch::Create(std::span<const float> weights, const WeightCodes& codes, int64_t first,
                                              int64_t count, const Hessian& hessian, double damping) {
  CodeSearch search;
  search.first_ = first;
  search.count_ = count;
  search.size_ = hessian.size();
  search.codebook_ = codes.codebook;
  search.magnitude_ = codes.MaxMagnitude();
  search.scale_per_channel_ = codes.scale.size() > 1 || codes.shape[0] == 1;
  search.order_.resize(static_cast<size_t>(hessian.size()));
  std::iota(search.order_.begin(), search.order_.end(), int64_t{0});
  std::stable_sort(search.order_.begin(), search.order_.end(),
                   [&](int64_t a, int64_t b) { return hessian.At(a, a) < hessian.At(b, b); });
  BITSTAGE_ASSIGN_OR_RETURN(search.lower_, DampedFactor(hessian, damping, search.order_));
  // The damped H; how much it took to damp it shows in the factor's first entry.
  const int64_t n = search.size_;
  const double damp = search.lower_[0] * search.lower_[0] - hessian.At(search.order_[0], search.order_[0]);
  search.hessian_.resize(search.lower_.size());
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      const double value = hessian.At(search.order_[static_cast<size_t>(i)], search.order_[static_cast<size_t>(j)]);
      search.hessian_[static_cast<size_t>(i * n + j)] = search.hessian_[static_cast<size_t>(j * n + i)] = value;
    }
    search.hessian_[static_cast<size_t>(i * n + i)] += damp;
  }
  const int64_t width = codes.shape.rank() == 4 ? codes.shape[3] : 1;
  const int64_t positions = codes.shape.rank() == 4 ? codes.shape[2] * width : 1;
  for (int64_t o = first; o < first + count; ++o) {
    search.scales_.push_back(codes.ScaleOf(o));
    for (const int64_t column : search.order_) {
      const int64_t position = column % positions;
      const auto at = static_cast<size_t>(o * hessian.size() + column);
      search.weights_.push_back(weights[at]);
      search.steps_.push_back(search.scales_.back() * codes.AlphaOf(position / width, position % width));
      search.codes_.push_back(codes.codes[at]);
    }
  }
  return search;
}

// Blocks of columns: the feedback from blocks already done is one matrix product.
void CodeSearch::FeedForward(const CodePrices& prices) {
  constexpr int64_t kBlock = 64;
  const int64_t n = size_;
  std::vector<double> errors(codes_.size());
  std::vector<double> feedback(static_cast<size_t>(count_ * kBlock));
  for (int64_t end = n; end > 0;) {
    const int64_t begin = (end - 1) / kBlock * kBlock;
    std::fill(feedback.begin(), feedback.end(), 0.0);
    AddProduct(Sign::kPlus, count_, end - begin, n - end, errors.data() + end, n, lower_.data() + end * n + begin, n,
               feedback.data(), kBlock);
    for (int64_t row = 0; row < count_; ++row) {
      double* error = errors.data() + row * n;
      for (int64_t k = end - 1; k >= begin; --k) {
        double sum = feedback[static_cast<size_t>(row * kBlock + k - begin)];
        for (int64_t j = k + 1; j < end; ++j) sum += error[j] * lower_[static_cast<size_t>(j * n + k)];
        const double pivot = lower_[static_cast<size_t>(k * n + k)];
        const size_t at = At(row, k);
        const double corrected = weights_[at] + sum / pivot;
        codes_[at] = static_cast<int8_t>(Choose(corrected / steps_[at], pivot * pivot, prices));
        error[k] = Error(at);
      }
    }
    end = begin;
  }
}

// The code with the least weight · (x − code)² + its price: the nearest, or one nearer to 0.
int CodeSearch::Choose(double x, double weight, const CodePrices& prices) const {
  const int nearest = NearestCode(x, codebook_, magnitude_);
  if (prices.empty() || nearest == 0) return nearest;
  int best = nearest;
  double least = weight * (x - nearest) * (x - nearest) + prices.Of(nearest);
  for (const int code : {nearest > 0 ? nearest - 1 : nearest + 1, 0}) {
    const double value = weight * (x - code) * (x - code) + prices.Of(code);
    if (value < least) {
      least = value;
      best = code;
    }
  }
  return best;
}

std::vector<double> CodeSearch::TimesHessian(const std::vector<double>& rows) const {
  std::vector<double> product(rows.size());
  AddProduct(Sign::kPlus, count_, size_, size_, rows.data(), size_, hessian_.data(), size_, product.data(), size_);
  return product;
}

void CodeSearch::Descend(const CodePrices& prices, int sweeps) {
  const int64_t n = size_;
  std::vector<double> errors(codes_.size());
  for (size_t at = 0; at < errors.size(); ++at) errors[at] = Error(at);
  std::vector<double> slopes = TimesHessian(errors);  // half the gradient
  for (int64_t row = 0; row < count_; ++row) {
    double* slope = slopes.data() + row * n;
    bool moved = true;
    for (int sweep = 0; sweep < sweeps && moved; ++sweep) {
      moved = false;
      for (int64_t k = n - 1; k >= 0; --k) {
        const size_t at = At(row, k);
        const double curvature = hessian_[static_cast<size_t>(k * n + k)];
        const int now = codes_[at];
        int best = now;
        double least = 0;
        const auto consider = [&](int code) {
          if (code == now || std::abs(code) > magnitude_ || (codebook_ == Codebook::kBinary && code == 0)) return;
          const double change = steps_[at] * (now - code);
          const double value = change * (2 * slope[k] + curvature * change) +
                               steps_[at] * steps_[at] * (prices.Of(code) - prices.Of(now));
          if (value < least) {
            least = value;
            best = code;
          }
        };
        const int stride = codebook_ == Codebook::kBinary ? 2 : 1;
        consider(now - stride);
        consider(now + stride);
        if (!prices.empty()) consider(0);
        if (best == now) continue;
        const double change = steps_[at] * (now - best);
        const double* column = hessian_.data() + k * n;
        for (int64_t j = 0; j < n; ++j) slope[j] += change * column[j];
        codes_[at] = static_cast<int8_t>(best);
        moved = true;
      }
    }
  }
}

void CodeSearch::FitScales() {
  if (!scale_per_channel_) return;
  std::vector<double> units(codes_.size());  // a: weights by scale 1
  for (int64_t row = 0; row < count_; ++row) {
    for (int64_t k = 0; k < size_; ++k) {
      units[At(row, k)] = steps_[At(row, k)] / scales_[static_cast<size_t>(row)] * codes_[At(row, k)];
    }
  }
  const std::vector<double> products = TimesHessian(units);
  for (int64_t row = 0; row < count_; ++row) {
    double with_weights = 0;
    double with_units = 0;
    for (int64_t k = 0; k < size_; ++k) {
      with_weights += weights_[At(row, k)] * products[At(row, k)];
      with_units += units[At(row, k)] * products[At(row, k)];
    }
    if (!(with_weights > 0) || !(with_units > 0)) continue;
    // As it will be stored.
    const double scale = static_cast<float>(with_weights / with_units);
    if (!(scale > 0) || !std::isfinite(scale)) continue;
    for (int64_t k = 0; k < size_; ++k) steps_[At(row, k)] *= scale / scales_[static_cast<size_t>(row)];
    scales_[static_cast<size_t>(row)] = scale;
  }
}

// ‖e L‖² of every row.
std::vector<double> CodeSearch::Errors() const {
  constexpr int64_t kStrip = 256;
  const int64_t n = size_;
  std::vector<double> errors(codes_.size());
  std::vector<double> products(static_cast<size_t>(count_ * kStrip));
  std::vector<double> sums(static_cast<size_t>(count_));
  for (size_t at = 0; at < errors.size(); ++at) errors[at] = Error(at);
  for (int64_t strip = 0; strip < n; strip += kStrip) {
    const int64_t width = std::min(kStrip, n - strip);
    std::fill(products.begin(), products.end(), 0.0);
    AddProduct(Sign::kPlus, count_, width, n - strip, errors.data() + strip, n, lower_.data() + strip * n + strip, n,
               products.data(), kStrip);
    for (int64_t row = 0; row < count_; ++row) {
      for (int64_t k = 0; k < width; ++k) {
        const double product = products[static_cast<size_t>(row * kStrip + k)];
        sums[static_cast<size_t>(row)] += product * product;
      }
    }
  }
  return sums;
}

double CodeSearch::MeanPivot() const {
  double sum = 0;
  for (int64_t k = 0; k < size_; ++k) sum += 2 * std::log(lower_[static_cast<size_t>(k * size_ + k)]);
  return std::exp(sum / static_cast<double>(size_));
}

void CodeSearch::Write(int64_t row, WeightCodes& codes) const {
  for (int64_t k = 0; k < size_; ++k) {
    codes.codes[static_cast<size_t>((first_ + row) * size_ + order_[static_cast<size_t>(k)])] = codes_[At(row, k)];
  }
  if (scale_per_channel_) {
    codes.scale[static_cast<size_t>(first_ + row)] = static_cast<float>(scales_[static_cast<size_t>(row)]);
  }
}

void CodeSearch::Write(WeightCodes& codes) const {
  for (int64_t row = 0; row < count_; ++row) Write(row, codes);
}

}  // namespace bitstage
