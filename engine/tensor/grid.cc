#include "engine/tensor/grid.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace bitstage {

namespace {

// One channel of a grid, ready for many values.
struct ChannelGrid {
  ChannelGrid(const Grid& grid, int64_t channel)
      : step(grid.StepOf(channel)),
        zero(static_cast<float>(grid.zero_point)),
        unit(static_cast<float>(1 << grid.ShiftOf(channel))),
        top(static_cast<float>(grid.MaxSymbol(channel))) {}

  // The symbol of x as a float. Clamped before it is rounded, which is the same because the bounds are whole numbers;
  // adding 1.5 · 2^23 leaves a float no fraction bits, rounding half to even. No branches: the loops become vectors.
  [[nodiscard]] float Symbol(float x) const {
    constexpr float kNoFraction = 12582912.0f;
    const float t = ((x == x ? x : 0.0f) / step + zero) / unit;
    const float clamped = t > 0.0f ? (t < top ? t : top) : 0.0f;
    return (clamped + kNoFraction) - kNoFraction;
  }

  float step;
  float zero;
  float unit;
  float top;
};

}  // namespace

int Grid::Symbol(float x, int64_t channel) const { return static_cast<int>(ChannelGrid(*this, channel).Symbol(x)); }

void SnapToGrid(const Grid& grid, int64_t channel, std::span<float> values) {
  const ChannelGrid of(grid, channel);
  for (float& x : values) x = of.step * (of.Symbol(x) * of.unit - of.zero);
}

void EncodeToGrid(const Grid& grid, int64_t channel, std::span<const float> values, uint8_t* codes, int64_t stride) {
  const ChannelGrid of(grid, channel);
  for (const float x : values) {
    *codes = static_cast<uint8_t>(static_cast<int>(of.Symbol(x) * of.unit));
    codes += stride;
  }
}

int Grid::MaxCode() const {
  int largest = 0;
  const size_t channels = std::max(bits.size(), shift.size());
  for (size_t c = 0; c < channels; ++c) {
    largest = std::max(largest, MaxSymbol(static_cast<int64_t>(c)) << ShiftOf(static_cast<int64_t>(c)));
  }
  return largest;
}

absl::Status Validate(const Grid& grid, int64_t channels) {
  const auto check_size = [&](const char* field, size_t size) -> absl::Status {
    if (size == 1 || (channels > 0 && size == static_cast<size_t>(channels))) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("grid.", field, " has ", size, " entries, expected 1 or ", channels));
  };
  if (absl::Status s = check_size("step", grid.step.size()); !s.ok()) return s;
  if (absl::Status s = check_size("bits", grid.bits.size()); !s.ok()) return s;
  if (absl::Status s = check_size("shift", grid.shift.size()); !s.ok()) return s;
  if (grid.zero_point < 0 || grid.zero_point > 255) {
    return absl::InvalidArgumentError(absl::StrCat("grid.zero_point is ", grid.zero_point, ", expected 0 to 255"));
  }
  for (size_t c = 0; c < grid.step.size(); ++c) {
    if (!std::isfinite(grid.step[c]) || !(grid.step[c] > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("grid.step of channel ", c, " is ", grid.step[c], ", expected a positive number"));
    }
  }
  const size_t coded = std::max(grid.bits.size(), grid.shift.size());
  for (size_t i = 0; i < coded; ++i) {
    const auto c = static_cast<int64_t>(i);
    if (grid.BitsOf(c) < 1 || grid.BitsOf(c) + grid.ShiftOf(c) > 8) {
      return absl::InvalidArgumentError(absl::StrCat("grid of channel ", i, " has ", grid.BitsOf(c),
                                                     " bits shifted by ", grid.ShiftOf(c),
                                                     ", expected at least 1 bit and at most 8 in all"));
    }
  }
  return absl::OkStatus();
}

}  // namespace bitstage
