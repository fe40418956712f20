// Histogram: how often the values of one channel of an activation fall where; what calibration feeds and clips are
// chosen from.
//
//   Histogram h;
//   for (batch) h.Add(values of the channel);
//   double step = MseStep(h, Levels::Unsigned(4));
//
// The bins are 2^e wide and begin at multiples of their width; e is the smallest exponent with which min…max of the
// values seen fits into the bins. Growing therefore merges pairs of bins exactly, and the state depends on the values
// alone (the moments: but for rounding), not on their order, the batches or the merging of histograms filled by several
// threads. Exact zeros, which ReLU makes plenty of, are counted apart. Values that are not finite are left out and
// counted.
//
// Value type; concurrent reads are fine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace bitstage {

class Histogram {
 public:
  static constexpr int kDefaultBins = 2048;
  explicit Histogram(int bins = kDefaultBins);

  void Add(std::span<const float> values);
  // The histogram of the values of both. Requires the same number of bins.
  void Merge(const Histogram& other);

  [[nodiscard]] uint64_t count() const { return count_; }  // finite values, zeros among them
  [[nodiscard]] uint64_t zeros() const { return zeros_; }
  [[nodiscard]] uint64_t not_finite() const { return not_finite_; }
  // Of the finite values; 0 where there are none.
  [[nodiscard]] float min() const;
  [[nodiscard]] float max() const;
  [[nodiscard]] double MaxAbs() const;
  [[nodiscard]] double Mean() const;
  [[nodiscard]] double MeanSquare() const;
  [[nodiscard]] double bin_width() const;

  // visit(x, n) for every bin with values, rising: n values of about x, which is the middle of the bin, or 0 exactly.
  template <typename Visitor>
  void ForEachBin(Visitor visit) const {
    const double width = bin_width();
    bool zero_visited = zeros_ == 0;
    for (size_t i = 0; i < bins_.size(); ++i) {
      if (bins_[i] == 0) continue;
      const double middle = (static_cast<double>(first_ + static_cast<int64_t>(i)) + 0.5) * width;
      if (!zero_visited && middle > 0) {
        zero_visited = true;
        visit(0.0, zeros_);
      }
      visit(middle, static_cast<uint64_t>(bins_[i]));
    }
    if (!zero_visited) visit(0.0, zeros_);
  }

 private:
  void AddNonZero(std::span<const float> values);
  // Widens the range to hold low…high (not 0), merging bins where it must.
  void Cover(float low, float high);
  void Rebin(int exponent, int64_t first);

  std::vector<uint32_t> bins_;  // bin i holds [first + i, first + i + 1) · 2^exponent; counts saturate
  int exponent_ = 0;
  int64_t first_ = 0;
  float low_ = 0, high_ = 0;  // range of the values that are not 0; both 0 where there are none
  uint64_t count_ = 0, zeros_ = 0, not_finite_ = 0;
  double sum_ = 0, sum_squares_ = 0;
};

// One histogram of all of `channels`.
Histogram MergeAll(std::span<const Histogram> channels);

}  // namespace bitstage
