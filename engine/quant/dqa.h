// DQA activations (Hu, Henderson, Cano 2024, arXiv 2412.09687 §3): the quantizer of the paper and the grids of both
// modes.
//
// Per channel with M = max |A| and all rounding half to even:
//   Direct-n             Δ_n     = M / 2^(n−1)      q = clamp(rint(A/Δ_n), −2^(n−1), 2^(n−1)−1)              Â = Δ_n ·
//   q DQA(n,m), important  Δ_(n+m) = M / 2^(n+m−1)    Q = clamp(rint(A/Δ_(n+m)), −2^(n+m−1), 2^(n+m−1)−1)
//                        q = Q >> m (arithmetic)    e = Q & (2^m − 1), the shifting error                    Â =
//                        Δ_(n+m) · Q
// DQA(n,0) is Direct-n. A channel of zeros has M = 0 and codes 0.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/quant/activation_grids.h"
#include "engine/quant/histogram.h"
#include "engine/quant/linear.h"
#include "engine/tensor/grid.h"

namespace bitstage {

// M / 2^(width−1), width = n or n+m.
double DqaStep(double max_abs, int width);
// The two parts of Q = UniformCode(x, step, Levels::Signed(n + m)).
inline int ShiftedCode(int code, int m) { return code >> m; }
inline int ShiftingError(int code, int m) { return code & ((1 << m) - 1); }

struct DqaChannel {
  double max_abs = 0;
  double step = 0;         // Δ_(n+m)
  std::vector<int> codes;  // Q
  [[nodiscard]] double Real(size_t i) const { return step * codes[i]; }
};
// One channel's values over the batch, as the paper finds its scale: online. m = 0: Direct-n.
DqaChannel QuantizeDqa(std::span<const float> values, int n, int m);

// 1 for the channels that get n+m bits, 0 for the others.
using ImportantChannels = std::vector<uint8_t>;

// The paper's mode on static maxima: signed, a step M_c / 2^(n+m−1) per channel, zero point 2^(n+m−1). Important
// channels have n+m bits, the others n bits shifted by m. Requires n ≥ 2, m ≥ 0, n + m ≤ 8, one flag a channel.
Grid LiteralDqaGrid(std::span<const double> channel_max_abs, const ImportantChannels& important, int n, int m);

// The mode that is served: the same two widths on the unsigned grid of `kind` and `rule`.
// kTensor: one step; kChannel: a step per channel; kPowerOfTwo: one step and a shift per channel, codes of
// at most `code_bits` bits.
Grid ServedDqaGrid(std::span<const Histogram> channels, const ImportantChannels& important, int n, int m, StepKind kind,
                   ClipRule rule, int code_bits = 8);

}  // namespace bitstage
