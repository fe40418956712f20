// Which channels of a tensor are worth DQA's extra m bits.
#pragma once

#include <span>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "engine/quant/dqa.h"

namespace bitstage {

// What the extra bits buy a channel: distortion at n bits − distortion at n+m bits, summed over the calibrated values.
// The ranking by it needs no evaluation of the network and does as well as the paper's search or better.
enum class DqaMode : uint8_t { kLiteral, kServed };  // the paper's steps M/2^(width−1), or unsigned with the MSE clip
std::vector<double> MseGains(std::span<const Histogram> channels, int n, int m, DqaMode mode);

// The floor(C · share) channels with the largest scores; of equal ones the first.
ImportantChannels TopChannels(std::span<const double> scores, double share);

// The paper's ranking: a greedy scan, layer by layer. Importance of channel c of layer l is the accuracy on the
// calibration set with every channel of the layers ≤ l quantized (Direct-n, the paper: n = 3) except c and except the
// best channel of every earlier layer; later layers stay float.
//
// accuracy(quantized): evaluates the network with the flagged channels quantized, quantized[layer][channel] = 1. Called
// Σ C_l times. An error from it ends the scan and is returned.
using QuantizedChannels = std::vector<std::vector<uint8_t>>;
using AccuracyOfChannels = absl::FunctionRef<absl::StatusOr<double>(const QuantizedChannels&)>;
absl::StatusOr<std::vector<std::vector<double>>> GreedyImportance(std::span<const int64_t> channels_of_layer,
                                                                  AccuracyOfChannels accuracy);

}  // namespace bitstage
