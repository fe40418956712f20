// Grid: which real numbers the u8 codes of an activation tensor stand for.
//
// A channel c stores symbols s of bits(c) bits. Symbols of all channels sit on ONE common 8-bit scale:
//
//     code u = s << shift(c)            0 <= u <= 255, the byte that kernels multiply
//     real x = step(c) · (u − zero_point)
//     s      = clamp(rint((x / step(c) + zero_point) / 2^shift(c)), 0, 2^bits(c) − 1)      rint: half to even
//
// This one form holds every activation quantizer of the project:
//  * unsigned n-bit after ReLU: zero_point 0, shift 0, bits n;
//  * affine 8-bit (network inputs, linear outputs): zero_point 0…255;
//  * DQA(n,m) (arXiv 2412.09687 §3), literal grid: step(c) = M_c / 2^(n+m−1), zero_point 2^(n+m−1); important channels
//    have bits n+m, shift 0; the others bits n, shift m. The shifting error of an important channel is s & (2^m − 1);
//  * DQA(n,m), unsigned grid: the same with zero_point 0 and one step for the tensor;
//  * channels whose steps differ by powers of two: a shift per channel, one step.
// A kernel never sees symbols: it multiplies u. The wire carries s, bits(c) wide or entropy-coded.
//
// step, bits and shift each have one entry for the whole tensor or one a channel. A step per channel must be multiplied
// into the consumer's weights before those are quantized; a shift per channel costs the consumer nothing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"

namespace bitstage {

struct Grid {
  int zero_point = 0;
  std::vector<float> step = {1.0f};
  std::vector<uint8_t> bits = {8};
  std::vector<uint8_t> shift = {0};

  [[nodiscard]] float StepOf(int64_t channel) const {
    return step.size() == 1 ? step[0] : step[static_cast<size_t>(channel)];
  }
  [[nodiscard]] int BitsOf(int64_t channel) const {
    return bits.size() == 1 ? bits[0] : bits[static_cast<size_t>(channel)];
  }
  [[nodiscard]] int ShiftOf(int64_t channel) const {
    return shift.size() == 1 ? shift[0] : shift[static_cast<size_t>(channel)];
  }
  [[nodiscard]] int MaxSymbol(int64_t channel) const { return (1 << BitsOf(channel)) - 1; }
  [[nodiscard]] bool HasStepPerChannel() const { return step.size() > 1; }

  // The symbol and the code of a real value; NaN becomes the symbol of zero.
  [[nodiscard]] int Symbol(float x, int64_t channel) const;
  [[nodiscard]] uint8_t Code(float x, int64_t channel) const {
    return static_cast<uint8_t>(Symbol(x, channel) << ShiftOf(channel));
  }
  [[nodiscard]] float Real(uint8_t code, int64_t channel) const {
    return StepOf(channel) * static_cast<float>(static_cast<int>(code) - zero_point);
  }
  // The largest code of any channel: what bounds the accumulators and decides which exact Winograd form applies.
  [[nodiscard]] int MaxCode() const;

  friend bool operator==(const Grid&, const Grid&) = default;
};

// What Grid::Symbol, Grid::Code and Grid::Real do, for many values of one channel at once: each value is replaced by
// the real number its code stands for, or its code is written to `codes` every `stride` bytes. Equal to the functions
// above.
void SnapToGrid(const Grid& grid, int64_t channel, std::span<float> values);
void EncodeToGrid(const Grid& grid, int64_t channel, std::span<const float> values, uint8_t* codes, int64_t stride);

// Refuses: sizes other than 1 or `channels`, steps not finite or not positive, bits outside 1…8, bits + shift > 8,
// zero_point outside 0…255. INVALID_ARGUMENT naming the field and the channel.
absl::Status Validate(const Grid& grid, int64_t channels);

}  // namespace bitstage
