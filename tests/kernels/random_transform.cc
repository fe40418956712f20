#include "tests/kernels/random_transform.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/kernels/padded_transform.h"

namespace bitstage::kernels {

TransformArrays TransformArrays::Make(Random& random, int64_t channels, float spread, bool with_residual,
                                      bool to_float) {
  const auto count = static_cast<size_t>(channels);
  TransformArrays arrays;
  const bool halves = random.OneIn(4);  // many results exactly between two codes
  const bool shifts = !to_float && random.OneIn(3);
  for (size_t c = 0; c < count; ++c) {
    const int shift = shifts ? static_cast<int>(random.Int(0, 7)) : 0;
    const auto range = static_cast<float>(255 >> shift);
    float mult = range / spread * random.Float(-1.0f, 1.5f);
    float add = range * random.Float(0.0f, 1.0f);
    if (halves) {
      mult = std::copysign(std::exp2(std::floor(std::log2(std::fabs(mult) + 1e-6f))), mult);
      add = std::floor(add) + 0.5f;
    }
    arrays.mult.push_back(mult);
    arrays.add.push_back(add);
    if (with_residual) arrays.residual_mult.push_back(halves ? 0.5f : random.Float(-0.5f, 0.5f));
    const float infinity = std::numeric_limits<float>::infinity();
    const bool clamped = random.OneIn(2);
    // Now and then low > high, as of a clamp that lies outside its grid: high wins.
    const float low = clamped ? range * random.Float(0.0f, random.OneIn(10) ? 1.0f : 0.3f) : 0.0f;
    const float high = clamped ? range * random.Float(random.OneIn(10) ? 0.0f : 0.5f, 1.0f) : range;
    arrays.low.push_back(to_float && !clamped ? -infinity : low);
    arrays.high.push_back(to_float && !clamped ? infinity : high);
    if (shifts) arrays.shift.push_back(static_cast<uint8_t>(shift));
  }
  return arrays;
}

TransformArrays TransformArrays::MakeFew(Random& random, int64_t channels, float spread) {
  TransformArrays arrays;
  const int bits = random.OneOf<int>({1, 2, 3, 4, 4, 4, 4, 6});
  const auto top = static_cast<float>((1 << bits) - 1);
  const bool shifts = random.OneIn(2);
  const bool halves = random.OneIn(4);  // many results exactly between two codes
  for (int64_t c = 0; c < channels; ++c) {
    float mult = top / spread * std::exp2(random.Float(-1.0f, 2.0f));
    float add = random.Float(-1.0f, 0.6f) * top;
    if (halves) {
      mult = std::exp2(std::floor(std::log2(mult)));
      add = std::floor(add) + 0.5f;
    }
    if (random.OneIn(50)) mult = 0;  // a dead channel
    arrays.mult.push_back(mult);
    arrays.add.push_back(add);
    arrays.low.push_back(random.OneIn(100) ? random.Float(0.0f, 1.0f) : 0.0f);
    arrays.high.push_back(random.OneIn(3) ? top * random.Float(0.3f, 1.0f) : top);
    if (shifts) arrays.shift.push_back(static_cast<uint8_t>(random.Int(0, 8 - bits)));
  }
  return arrays;
}

OutputTransform TransformArrays::View(bool to_float) const {
  return {mult.data(), add.data(),  residual_mult.empty() ? nullptr : residual_mult.data(),
          low.data(),  high.data(), shift.empty() ? nullptr : shift.data(),
          to_float};
}

OutputTransform TransformArrays::PreparedView(bool to_float, double magnitude) {
  const size_t channels = mult.size();
  const size_t lanes = (channels + 63) / 64 * 64;
  bool within_int32 = true;
  low_codes.assign(lanes, 0);
  high_codes.assign(lanes, 0);
  for (size_t c = 0; c < channels; ++c) {
    const double residual = residual_mult.empty() ? 0 : 255.0 * std::fabs(residual_mult[c]);
    within_int32 &= magnitude * std::fabs(mult[c]) + std::fabs(add[c]) + residual < 0x1p23;
    if (to_float) continue;
    const int by = shift.empty() ? 0 : shift[c];
    low_codes[c] = static_cast<uint8_t>(static_cast<int>(std::nearbyint(std::min(low[c], high[c]))) << by);
    high_codes[c] = static_cast<uint8_t>(static_cast<int>(std::nearbyint(high[c])) << by);
  }
  for (std::vector<float>* array : {&mult, &add, &low, &high}) array->resize(lanes);
  if (!residual_mult.empty()) residual_mult.resize(lanes);
  if (!shift.empty()) shift.resize(lanes);
  OutputTransform view = View(to_float);
  view.lanes = static_cast<int64_t>(lanes);
  view.low_codes = to_float ? nullptr : low_codes.data();
  view.high_codes = to_float ? nullptr : high_codes.data();
  view.within_int32 = within_int32;
  if (!shift.empty()) {
    doublings.resize(lanes / 64 * kMaxShift);
    view.doubling_count = FillDoublings(shift.data(), static_cast<int64_t>(channels), doublings.data());
    view.doublings = doublings.data();
  }
  return view;
}

void TransformArrays::ByWords(const Words& found, OutputTransform& view) {
  words = found.multiply;
  words.resize(static_cast<size_t>(view.lanes));
  word_masks.resize(words.size());
  for (size_t c = 0; c < found.multiply.size(); ++c) {
    word_masks[c] = static_cast<uint8_t>(0xff << (shift.empty() ? 0 : shift[c]));
  }
  view.words = words.data();
  view.word_masks = word_masks.data();
  view.word_shift = found.shift;
  // What words do without.
  view.mult = view.add = view.low = view.high = nullptr;
  view.low_codes = view.shift = nullptr;
  view.doublings = nullptr;
  view.doubling_count = 0;
}

}  // namespace bitstage::kernels
