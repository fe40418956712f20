// Random output transforms, as arrays that end where their channels do.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/kernels/params.h"
#include "engine/kernels/words.h"
#include "tests/kernels/random.h"

namespace bitstage::kernels {

// An OutputTransform and the exactly sized arrays behind it.
struct TransformArrays {
  std::vector<float> mult, add, residual_mult, low, high;
  std::vector<uint8_t> shift;

  // For accumulators of about ±`spread`; to codes, or to floats.
  static TransformArrays Make(Random& random, int64_t channels, float spread, bool with_residual, bool to_float);
  // To few codes, which rise with the accumulators: what may come by words.
  static TransformArrays MakeFew(Random& random, int64_t channels, float spread);
  [[nodiscard]] OutputTransform View(bool to_float) const;
  // The same with all that may be known beforehand, where accumulators are at most `magnitude`.
  [[nodiscard]] OutputTransform PreparedView(bool to_float, double magnitude);

  // What PreparedView adds.
  std::vector<uint8_t> low_codes, high_codes;
  // What ByWords adds to a prepared view.
  void ByWords(const Words& words, OutputTransform& view);
  std::vector<int32_t> words = {};
  std::vector<uint8_t> word_masks = {};
  std::vector<uint64_t> doublings;
};

}  // namespace bitstage::kernels
