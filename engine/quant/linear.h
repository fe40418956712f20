// Uniform quantizers of activations: the step that a histogram asks for.
//
// A quantizer here is a step d and the integers low…high:   x̂ = d · clamp(rint(x / d), low, high), half to even.
#pragma once

#include <cstdint>
#include <span>

#include "engine/quant/histogram.h"

namespace bitstage {

struct Levels {
  int low = 0;
  int high = 0;
  static constexpr Levels Unsigned(int bits) { return {0, (1 << bits) - 1}; }
  // DQA's and two's complement's: one level more below zero than above.
  static constexpr Levels Signed(int bits) { return {-(1 << (bits - 1)), (1 << (bits - 1)) - 1}; }
};

// The integer of the quantizer above: clamp(rint(x / step), low, high). 0 for step 0.
int UniformCode(double x, double step, Levels levels);

// Mean (x − x̂)² over the histogram; 0 for an empty one. Within a bin the values count as evenly spread, which adds
// width²/12 to the squared distance of the bin's middle.
double MeanSquaredError(const Histogram& histogram, double step, Levels levels);

// How the end of the range is chosen.
struct ClipRule {
  enum Kind : uint8_t { kMax, kMse, kPercentile };
  Kind kind = kMse;
  double percentile = 0.999;  // kPercentile: the fraction of values that is not clipped
};

// The smallest c with at least `fraction` of the values within −c…c.
double PercentileClip(const Histogram& histogram, double fraction);
// The step with the least MeanSquaredError. Candidates end at clips from 1/64 to 1 of the largest magnitude, 5 % apart
// and refined around the best. 0 where all values are 0.
double MseStep(const Histogram& histogram, Levels levels);
// The step by `rule`; 0 where no value can be represented (all are 0, or negative with unsigned levels).
double StepFor(const Histogram& histogram, Levels levels, ClipRule rule);

// A part of a tensor whose quantizer is  multiple · step  for a step that all parts share.
struct SharedStepPart {
  const Histogram* histogram;
  double multiple;
  Levels levels;
};
// The shared step with the least squared error over all values of all parts; 0 as above.
double SharedMseStep(std::span<const SharedStepPart> parts);

}  // namespace bitstage
