// How good a classifier is, how well two agree, and how sure that is.
//
// `logits` are one image's outputs; class c is at output c + class_offset (Model::class_offset). Ties go to the lower
// output, so that equal logits count equally everywhere. Plain values; not thread-safe for writing.
#pragma once

#include <cstdint>
#include <span>

namespace bitstage {

// The output with the largest value, the lowest of equals; NaN counts as less than all. Requires logits not empty.
int TopOutput(std::span<const float> logits);

// How many outputs come before `output`: greater, or equal and lower. 0: it is the answer. A NaN comes last.
int RankOf(std::span<const float> logits, int output);

// Σ p log(p / q), nats, of the softmaxes p of the reference's and q of the candidate's logits of the same classes: how
// far an answer moved, also where the first class stays. Requires as many of both, and finite ones.
double SoftmaxDivergence(std::span<const float> reference, std::span<const float> candidate);

// A confidence interval, of a share or of a difference of shares.
struct Interval {
  double low = 0.0;
  double high = 0.0;
};

// 97.5 % quantile of the normal distribution: intervals of 95 %.
inline constexpr double kZ95 = 1.959963984540054;

// Wilson's interval (1927) of a share, `successes` of `trials`; [0, 1] for no trials.
Interval WilsonInterval(int64_t successes, int64_t trials, double z = kZ95);

// Interval of the difference won − lost as a share of `trials` paired ones, `lost` right for the reference only, `won`
// for the candidate only. Wald's with half a pair added to each of the four cells (Agresti and Min 2005), which stays
// honest when few pairs differ. [−1, 1] for no trials.
Interval PairedDifferenceInterval(int64_t lost, int64_t won, int64_t trials, double z = kZ95);

struct ClassificationCounts {
  int64_t images = 0;
  int64_t top1 = 0;
  int64_t top5 = 0;

  // A class without an output counts as wrong.
  void Add(std::span<const float> logits, int label, int class_offset = 0);
  [[nodiscard]] double Top1() const { return Share(top1); }
  [[nodiscard]] double Top5() const { return Share(top5); }
  [[nodiscard]] Interval Top1Interval() const { return WilsonInterval(top1, images); }
  [[nodiscard]] Interval Top5Interval() const { return WilsonInterval(top5, images); }

 private:
  [[nodiscard]] double Share(int64_t count) const {
    return images == 0 ? 0.0 : static_cast<double>(count) / static_cast<double>(images);
  }
};

// A candidate against a reference on the same images. Their outputs may be offset differently.
struct PairedCounts {
  int64_t images = 0;
  int64_t agreeing = 0;  // the same class first
  int64_t labelled = 0;
  int64_t lost = 0;  // right by the reference only
  int64_t won = 0;   // right by the candidate only

  void Add(int reference_class, int candidate_class);  // of an image without a label
  void Add(int reference_class, int candidate_class, int label);
  [[nodiscard]] double Agreement() const {
    return images == 0 ? 0.0 : static_cast<double>(agreeing) / static_cast<double>(images);
  }
  [[nodiscard]] Interval AgreementInterval() const { return WilsonInterval(agreeing, images); }
  // Of candidate minus reference, as shares of the labelled images.
  [[nodiscard]] Interval Top1DifferenceInterval() const { return PairedDifferenceInterval(lost, won, labelled); }
};

}  // namespace bitstage
