// Prefetch: brings a stretch of memory into the L2 cache, a few cache lines at a time between computations.
//
// Not for files that are compiled with vector flags: its code is inline.
#pragma once

#include <cstdint>

#include "engine/base/checked_math.h"
#include "engine/kernels/params.h"

namespace bitstage::kernels {

class Prefetch {
 public:
  // Of `ahead`, in `pieces` about equal ones.
  Prefetch(const Ahead& ahead, int64_t pieces)
      : at_(ahead.at), end_(ahead.at + ahead.bytes), lines_(DivideRoundUp(ahead.bytes, pieces * kLine)) {}

  void Piece() {
    for (int64_t line = 0; line < lines_ && at_ < end_; ++line, at_ += kLine) __builtin_prefetch(at_, 0, kL2);
  }

  // Where the next `lines` lines begin, for the caller to bring; null after the last.
  const std::byte* Take(int64_t lines) {
    if (at_ >= end_) return nullptr;
    const std::byte* at = at_;
    at_ += lines * kLine;
    return at;
  }

 private:
  static constexpr int64_t kLine = 64;
  static constexpr int kL2 = 2;
  const std::byte* at_;
  const std::byte* end_;
  int64_t lines_;
};

}  // namespace bitstage::kernels
