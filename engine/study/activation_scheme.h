// ActivationScheme: one way to quantize the outputs of a network's blocks, for tables that compare such ways. Weights
// stay float, as in the DQA paper (arXiv 2412.09687); what is served is chosen by recipes (engine/compression).
//
//   float                         nothing is quantized
//   direct:N                      the paper's Direct-N: signed, a step a channel from the maximum of the running batch
//   dqa:N+M[@R][:RANKING]         the paper's DQA(N, M), the share R (0.5) of the channels important, by RANKING:
//                                 greedy (the paper's scan; the default), gain (MSE), random[SEED]
//   noisy:N                       NoisyQuant (Liu et al., CVPR 2023) on Direct-N's grid
//   unsigned:N[:CLIP[:STEP]]      static, 2^N levels from 0; CLIP mse (the default), max, percentile; STEP channel (the
//                                 default), tensor, shift (powers of two apart)
//   served:N+M[@R][:STEP]         DQA's two widths on that grid, important channels by gain
//   adaptive:BITS                 those grids, each block its own: the least measured noise at BITS an element on
//   average
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/quant/activation_grids.h"
#include "engine/quant/linear.h"

namespace bitstage {

enum class StudyMethod : uint8_t { kFloat, kDirect, kDqa, kNoisy, kUnsigned, kServed, kAdaptive };
enum class Ranking : uint8_t { kGreedy, kGain, kRandom };

struct ActivationScheme {
  std::string text;  // as parsed
  StudyMethod method = StudyMethod::kFloat;
  int bits = 3;
  int extra_bits = 0;
  double important_share = 0.5;
  double mean_bits = 0;  // kAdaptive
  Ranking ranking = Ranking::kGreedy;
  uint64_t seed = 0;  // kRandom
  ClipRule clip;
  StepKind step = StepKind::kChannel;
};

// INVALID_ARGUMENT quoting what is not understood.
absl::StatusOr<ActivationScheme> ParseScheme(absl::string_view text);

}  // namespace bitstage
