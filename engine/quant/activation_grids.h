// Grids of activations from what calibration saw: uniform ones, and the served form of DQA's two widths.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/quant/histogram.h"
#include "engine/quant/linear.h"
#include "engine/tensor/grid.h"

namespace bitstage {

// How many steps a tensor has.
enum class StepKind : uint8_t {
  kTensor,      // one
  kChannel,     // one a channel, multiplied into the consumer's weights
  kPowerOfTwo,  // one, and a shift per channel on a common scale: costs the consumer nothing
};

// Grids for the values whose channels' histograms are given, `bits` wide. A channel in which every value was 0 gets the
// step of its widest neighbour (1 where there is none). Requires at least one channel and bits in 1…8 (SignedGrid and
// AffineGrid: 2…8).
//
// For channels without negative values (ReLU): zero_point 0. kPowerOfTwo: codes have at most `code_bits` bits, shifts
// included; at least the widest of `bits`.
Grid UnsignedGrid(std::span<const Histogram> channels, int bits, StepKind kind, ClipRule rule, int code_bits = 8);
// The same with a width for each channel (DQA). kTensor: all channels end at the same value, so that a narrow channel
// has its shift from the widest; kPowerOfTwo: every channel has the shift with the least error.
Grid UnsignedGrid(std::span<const Histogram> channels, std::span<const uint8_t> bits, StepKind kind, ClipRule rule,
                  int code_bits = 8);
// Symmetric around 0: zero_point 2^(bits−1). kind: kTensor or kChannel (a shift would move the zero).
Grid SignedGrid(std::span<const Histogram> channels, int bits, StepKind kind, ClipRule rule);
// One step, any range that holds 0, the zero point where it falls: network inputs, linear outputs.
Grid AffineGrid(std::span<const Histogram> channels, int bits, ClipRule rule);
// The same from a range alone, e.g. the one preprocessing can reach.
Grid AffineGrid(double low, double high, int bits);

// The mean squared error of a grid on what was calibrated, channel by channel.
std::vector<double> ChannelErrors(std::span<const Histogram> channels, const Grid& grid);

}  // namespace bitstage
