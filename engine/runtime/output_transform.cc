#include "engine/runtime/output_transform.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/kernels/padded_transform.h"

namespace bitstage {

OutputScale OutputScaleOf(const Grid* grid, int64_t channel) {
  if (grid == nullptr) return {};
  const double scale = 1 << grid->ShiftOf(channel);
  return {.unit = grid->StepOf(channel) * scale, .offset = grid->zero_point / scale};
}

kernels::OutputTransform TransformArrays::View() const {
  return {.mult = mult.data(),
          .add = add.data(),
          .residual_mult = residual_mult.empty() ? nullptr : residual_mult.data(),
          .low = low.data(),
          .high = high.data(),
          .shift = shift.empty() ? nullptr : shift.data(),
          .to_float = to_float,
          .lanes = static_cast<int64_t>(words.empty() ? mult.size() : words.size()),
          .low_codes = to_float ? nullptr : low_codes.data(),
          .high_codes = to_float ? nullptr : high_codes.data(),
          .within_int32 = within_int32,
          .doublings = doublings.empty() ? nullptr : doublings.data(),
          .doubling_count = doubling_count,
          .words = words.empty() ? nullptr : words.data(),
          .word_masks = words.empty() ? nullptr : word_masks.data(),
          .word_shift = word_shift};
}

size_t TransformArrays::bytes() const {
  return (mult.size() + add.size() + residual_mult.size() + low.size() + high.size()) * sizeof(float) +
         low_codes.size() + high_codes.size() + shift.size() + doublings.size() * sizeof(uint64_t) +
         words.size() * sizeof(int32_t) + word_masks.size();
}

void TransformArrays::Take(const kernels::Words& found) {
  words = found.multiply;
  words.resize(mult.size());
  word_shift = found.shift;
  word_masks.resize(mult.size());
  for (size_t i = 0; i < found.multiply.size(); ++i) {
    word_masks[i] = static_cast<uint8_t>(0xff << (shift.empty() ? 0 : shift[i]));
  }
  for (std::vector<float>* floats : {&mult, &add, &low, &high}) *floats = {};
  low_codes = {};
  shift = {};
  doublings = {};
  doubling_count = 0;
}

TransformArrays MakeTransform(const Grid* grid, int64_t channels, const std::optional<Clamp>& clamp) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  TransformArrays arrays;
  const auto count = static_cast<size_t>(channels);
  const size_t lanes = TransformArrays::LanesOf(channels);
  arrays.mult.resize(lanes);
  arrays.add.resize(lanes);
  arrays.low.resize(lanes);
  arrays.high.resize(lanes);
  arrays.to_float = grid == nullptr;
  for (size_t i = 0; i < count; ++i) {
    const auto c = static_cast<int64_t>(i);
    const OutputScale scale = OutputScaleOf(grid, c);
    double low = clamp ? clamp->low / scale.unit + scale.offset : -kInfinity;
    double high = clamp ? clamp->high / scale.unit + scale.offset : kInfinity;
    if (grid != nullptr) {
      const double most = grid->MaxSymbol(c);
      low = std::clamp(low, 0.0, most);
      high = std::clamp(high, 0.0, most);
    }
    arrays.low[i] = static_cast<float>(low);
    arrays.high[i] = static_cast<float>(high);
  }
  if (grid != nullptr && std::any_of(grid->shift.begin(), grid->shift.end(), [](uint8_t s) { return s != 0; })) {
    arrays.shift.resize(lanes);
    for (size_t i = 0; i < count; ++i) {
      arrays.shift[i] = static_cast<uint8_t>(grid->ShiftOf(static_cast<int64_t>(i)));
    }
    arrays.doublings.resize(lanes / 64 * kernels::kMaxShift);
    arrays.doubling_count = kernels::FillDoublings(arrays.shift.data(), channels, arrays.doublings.data());
  }
  if (arrays.to_float) return arrays;
  arrays.low_codes.resize(lanes);
  arrays.high_codes.resize(lanes);
  for (size_t i = 0; i < count; ++i) {
    const int shift = arrays.shift.empty() ? 0 : arrays.shift[i];
    const float low = std::nearbyint(std::min(arrays.low[i], arrays.high[i]));
    arrays.low_codes[i] = static_cast<uint8_t>(static_cast<int>(low) << shift);
    arrays.high_codes[i] = static_cast<uint8_t>(static_cast<int>(std::nearbyint(arrays.high[i])) << shift);
  }
  return arrays;
}

}  // namespace bitstage
