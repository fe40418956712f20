#include "engine/quant/histogram.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace bitstage {
namespace {

// Bins never get narrower than this fraction of the largest value: indices stay exact in float and in int32.
constexpr int kFinestBitsBelowMax = 24;

bool IsFinite(float x) { return std::abs(x) <= std::numeric_limits<float>::max(); }

int64_t BinOf(double x, int exponent) { return static_cast<int64_t>(std::floor(std::ldexp(x, -exponent))); }

int SmallestExponent(float low, float high, int64_t bins) {
  int exponent = std::ilogb(std::max(std::abs(low), std::abs(high))) - kFinestBitsBelowMax;
  while (BinOf(high, exponent) - BinOf(low, exponent) >= bins) ++exponent;
  return exponent;
}

void AddSaturating(uint32_t& counter, uint32_t n) {
  counter = n > std::numeric_limits<uint32_t>::max() - counter ? std::numeric_limits<uint32_t>::max() : counter + n;
}

}  // namespace

Histogram::Histogram(int bins) : bins_(static_cast<size_t>(std::max(bins, 2))) {}

void Histogram::Rebin(int exponent, int64_t first) {
  std::vector<uint32_t> moved(bins_.size());
  const int halvings = exponent - exponent_;
  for (size_t i = 0; i < bins_.size(); ++i) {
    if (bins_[i] == 0) continue;
    const int64_t bin = halvings > 62 ? (first_ + static_cast<int64_t>(i) < 0 ? -1 : 0)
                                      : (first_ + static_cast<int64_t>(i)) >> halvings;
    AddSaturating(moved[static_cast<size_t>(bin - first)], bins_[i]);
  }
  bins_ = std::move(moved);
  exponent_ = exponent;
  first_ = first;
}

void Histogram::Cover(float low, float high) {
  const bool empty = low_ == 0 && high_ == 0;
  const float new_low = empty ? low : std::min(low_, low);
  const float new_high = empty ? high : std::max(high_, high);
  if (!empty && new_low == low_ && new_high == high_) return;
  low_ = new_low;
  high_ = new_high;
  const int exponent = SmallestExponent(low_, high_, static_cast<int64_t>(bins_.size()));
  const int64_t first = BinOf(low_, exponent);
  if (empty) {
    exponent_ = exponent;
    first_ = first;
  } else if (exponent != exponent_ || first != first_) {
    Rebin(exponent, first);
  }
}

void Histogram::Add(std::span<const float> values) {
  // Values that are not 0 are gathered without a branch: which ones are cannot be predicted.
  std::array<float, 1024> kept;
  for (; !values.empty(); values = values.subspan(std::min(kept.size(), values.size()))) {
    const std::span<const float> chunk = values.first(std::min(kept.size(), values.size()));
    size_t count = 0;
    size_t zeros = 0;
    for (const float x : chunk) {
      kept[count] = x;
      count += static_cast<size_t>(x != 0 && IsFinite(x));
      zeros += static_cast<size_t>(x == 0);
    }
    zeros_ += zeros;
    count_ += zeros + count;
    not_finite_ += chunk.size() - zeros - count;
    if (count != 0) AddNonZero(std::span(kept).first(count));
  }
}

void Histogram::AddNonZero(std::span<const float> values) {
  float low = values[0];
  float high = values[0];
  for (const float x : values) {
    low = std::min(low, x);
    high = std::max(high, x);
    sum_ += x;
    sum_squares_ += static_cast<double>(x) * x;
  }
  Cover(low, high);
  const double per_bin = std::ldexp(1.0, -exponent_);
  for (const float x : values) {
    const double position = x * per_bin;
    const auto truncated = static_cast<int64_t>(position);
    const int64_t bin = truncated - static_cast<int64_t>(position < static_cast<double>(truncated));  // floor
    AddSaturating(bins_[static_cast<size_t>(bin - first_)], 1);
  }
}

void Histogram::Merge(const Histogram& other) {
  count_ += other.count_;
  zeros_ += other.zeros_;
  not_finite_ += other.not_finite_;
  sum_ += other.sum_;
  sum_squares_ += other.sum_squares_;
  if (other.low_ == 0 && other.high_ == 0) return;
  Cover(other.low_, other.high_);
  Histogram moved = other;
  moved.Rebin(exponent_, first_);
  for (size_t i = 0; i < bins_.size(); ++i) AddSaturating(bins_[i], moved.bins_[i]);
}

float Histogram::min() const { return zeros_ > 0 ? std::min(low_, 0.0f) : low_; }
float Histogram::max() const { return zeros_ > 0 ? std::max(high_, 0.0f) : high_; }
double Histogram::MaxAbs() const { return std::max(std::abs(low_), std::abs(high_)); }
double Histogram::Mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }
double Histogram::MeanSquare() const { return count_ == 0 ? 0 : sum_squares_ / static_cast<double>(count_); }
double Histogram::bin_width() const { return std::ldexp(1.0, exponent_); }

Histogram MergeAll(std::span<const Histogram> channels) {
  Histogram all = channels.empty() ? Histogram() : channels.front();
  for (size_t c = 1; c < channels.size(); ++c) all.Merge(channels[c]);
  return all;
}

}  // namespace bitstage
