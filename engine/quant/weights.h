// Uniform symmetric weight codes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor/weight_codes.h"

namespace bitstage {

enum class WeightClip : uint8_t {
  kMax,  // scale = max|w| / (2^(b−1) − 1): nothing is clipped
  kMse,  // the scale with the least Σ h (w − ŵ)², h the importance of a weight
};

// The scale for one subgroup of weights, ŵ = scale · clamp(rint(w / scale), −magnitude, magnitude). For kMse: clips
// from 1/16 to 1 of the maximum are tried, then scale = Σ w·q / Σ q² and the codes are improved in turn (Lloyd's
// iteration: neither step can raise the error). 0 where all weights are 0.
// importance: of each weight, or of each of the first ones, which then repeat; empty: 1 for all.
double UniformScale(std::span<const float> weights, int magnitude, WeightClip clip,
                    std::span<const double> importance = {});

// The nearest entry of the codebook to x, which counts in scales. Half to even; binary 0 becomes +1.
int NearestCode(double x, Codebook codebook, int magnitude);

// Rounded to nearest. kind: kChannel (a scale per output channel) or kLayer; bits 2…8; shape of rank 2 or 4 with as
// many elements as `weights`. Channels of zeros get the widest other scale (1 where there is none).
// importance: of every weight, or of the weights of one output channel, the same for all of them; empty: 1. With the
// diagonal of the layer's Hessian a scale minimises the output's error rather than the weights' (as far as inputs are
// uncorrelated).
WeightCodes UniformWeights(const Shape& shape, std::span<const float> weights, int bits, ScaleKind kind,
                           WeightClip clip, std::span<const double> importance = {});

}  // namespace bitstage
