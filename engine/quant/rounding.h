// Rounding half to even, in line: adding 1.5 · 2^52 leaves a double no fraction bits.
#pragma once

namespace bitstage {

// Requires |x| < 2^51 and the default rounding mode.
inline double RoundHalfEven(double x) {
  constexpr double kNoFraction = 6755399441055744.0;
  return (x + kNoFraction) - kNoFraction;
}

}  // namespace bitstage
