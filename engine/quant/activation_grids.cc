#include "engine/quant/activation_grids.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace bitstage {
namespace {

// Float steps for the file, with those that calibration could not tell (0) set to the widest of the others.
std::vector<float> FillUnknown(const std::vector<double>& steps) {
  double widest = *std::max_element(steps.begin(), steps.end());
  if (widest == 0) widest = 1;
  std::vector<float> filled;
  for (const double step : steps) {
    filled.push_back(std::max(static_cast<float>(step == 0 ? widest : step), std::numeric_limits<float>::min()));
  }
  return filled;
}

std::vector<double> ChannelSteps(std::span<const Histogram> channels, std::span<const uint8_t> bits, ClipRule rule) {
  std::vector<double> steps;
  for (size_t c = 0; c < channels.size(); ++c) steps.push_back(StepFor(channels[c], Levels::Unsigned(bits[c]), rule));
  return steps;
}

// One entry where all are equal: the short form that Grid allows.
std::vector<uint8_t> Shortened(std::vector<uint8_t> entries) {
  if (std::equal(entries.begin() + 1, entries.end(), entries.begin())) entries.resize(1);
  return entries;
}

Grid UnsignedTensorGrid(std::span<const Histogram> channels, std::span<const uint8_t> bits, ClipRule rule) {
  const int widest = *std::max_element(bits.begin(), bits.end());
  std::map<int, Histogram> by_width;
  std::vector<uint8_t> shift;
  for (size_t c = 0; c < channels.size(); ++c) {
    const auto [entry, is_new] = by_width.try_emplace(bits[c], channels[c]);
    if (!is_new) entry->second.Merge(channels[c]);
    shift.push_back(static_cast<uint8_t>(widest - bits[c]));
  }
  double step = 0;
  if (rule.kind == ClipRule::kMse) {
    std::vector<SharedStepPart> parts;
    for (const auto& [width, histogram] : by_width) {
      parts.push_back({&histogram, std::ldexp(1.0, widest - width), Levels::Unsigned(width)});
    }
    step = SharedMseStep(parts);
  } else {
    step = StepFor(MergeAll(channels), Levels::Unsigned(widest), rule);
  }
  return {0, FillUnknown({step}), Shortened({bits.begin(), bits.end()}), Shortened(std::move(shift))};
}

struct Shifts {
  std::vector<uint8_t> shift;
  double error = 0;  // summed over all values
};

Shifts BestShifts(std::span<const Histogram> channels, std::span<const uint8_t> bits, std::span<const double> wanted,
                  double step, int code_bits, ClipRule rule) {
  Shifts result;
  for (size_t c = 0; c < channels.size(); ++c) {
    const int most = code_bits - bits[c];
    // The best power of two lies beside the wanted step; an outlier-free rule must not clip below it.
    const int at_least =
        wanted[c] == 0 ? most : std::clamp(static_cast<int>(std::ceil(std::log2(wanted[c] / step))), 0, most);
    const int first = rule.kind == ClipRule::kMse ? std::max(0, at_least - 1) : at_least;
    int chosen = first;
    double least = std::numeric_limits<double>::infinity();
    for (int k = first; k <= at_least; ++k) {
      const double error = MeanSquaredError(channels[c], std::ldexp(step, k), Levels::Unsigned(bits[c]));
      if (error < least) {
        least = error;
        chosen = k;
      }
    }
    result.shift.push_back(static_cast<uint8_t>(chosen));
    result.error += least * static_cast<double>(channels[c].count());
  }
  return result;
}

// The common step is searched over one octave, for a shift makes up the rest: around the step at which the channel that
// needs the widest one gets it at its largest shift.
Grid PowerOfTwoGrid(std::span<const Histogram> channels, std::span<const uint8_t> bits, int code_bits, ClipRule rule) {
  constexpr int kCandidates = 12;
  const std::vector<double> wanted = ChannelSteps(channels, bits, rule);
  double top = 0;
  for (size_t c = 0; c < channels.size(); ++c) top = std::max(top, std::ldexp(wanted[c], bits[c] - code_bits));
  if (top == 0) top = 1;
  const double from = rule.kind == ClipRule::kMse ? top / std::sqrt(2.0) : top;
  double best_step = top;
  Shifts best{{}, std::numeric_limits<double>::infinity()};
  for (int i = 0; i < kCandidates; ++i) {
    const double step = from * std::exp2(static_cast<double>(i) / kCandidates);
    Shifts shifts = BestShifts(channels, bits, wanted, step, code_bits, rule);
    if (shifts.error < best.error) {
      best = std::move(shifts);
      best_step = step;
    }
  }
  return {0, FillUnknown({best_step}), Shortened({bits.begin(), bits.end()}), Shortened(std::move(best.shift))};
}

}  // namespace

Grid UnsignedGrid(std::span<const Histogram> channels, std::span<const uint8_t> bits, StepKind kind, ClipRule rule,
                  int code_bits) {
  switch (kind) {
    case StepKind::kTensor: return UnsignedTensorGrid(channels, bits, rule);
    case StepKind::kPowerOfTwo: return PowerOfTwoGrid(channels, bits, code_bits, rule);
    case StepKind::kChannel: break;
  }
  return {0, FillUnknown(ChannelSteps(channels, bits, rule)), Shortened({bits.begin(), bits.end()}), {0}};
}

Grid UnsignedGrid(std::span<const Histogram> channels, int bits, StepKind kind, ClipRule rule, int code_bits) {
  const std::vector<uint8_t> widths(channels.size(), static_cast<uint8_t>(bits));
  return UnsignedGrid(channels, widths, kind, rule, code_bits);
}

Grid SignedGrid(std::span<const Histogram> channels, int bits, StepKind kind, ClipRule rule) {
  std::vector<double> steps;
  if (kind == StepKind::kChannel) {
    for (const Histogram& channel : channels) steps.push_back(StepFor(channel, Levels::Signed(bits), rule));
  } else {
    steps.push_back(StepFor(MergeAll(channels), Levels::Signed(bits), rule));
  }
  return {1 << (bits - 1), FillUnknown(steps), {static_cast<uint8_t>(bits)}, {0}};
}

Grid AffineGrid(double low, double high, int bits) {
  low = std::min(low, 0.0);
  high = std::max(high, 0.0);
  const int top = (1 << bits) - 1;
  const double step = high == low ? 1 : (high - low) / top;
  const int zero_point = std::clamp(static_cast<int>(std::nearbyint(-low / step)), 0, top);
  return {zero_point, FillUnknown({step}), {static_cast<uint8_t>(bits)}, {0}};
}

Grid AffineGrid(std::span<const Histogram> channels, int bits, ClipRule rule) {
  const Histogram all = MergeAll(channels);
  double low = std::min(0.0f, all.min());
  double high = std::max(0.0f, all.max());
  if (rule.kind == ClipRule::kPercentile) {
    const double clip = PercentileClip(all, rule.percentile);
    low = std::max(low, -clip);
    high = std::min(high, clip);
  } else if (rule.kind == ClipRule::kMse) {
    // The ends are searched in turn: each costs little while the other is held.
    constexpr double kRatio = 1.05;
    constexpr int kCandidates = 60;
    double least = std::numeric_limits<double>::infinity();
    const auto search = [&](double& end) {
      const double widest = end;
      double best = widest;
      for (int i = 0; i < kCandidates; ++i) {
        end = widest * std::pow(kRatio, -i);
        const Grid grid = AffineGrid(low, high, bits);
        const Levels levels{-grid.zero_point, (1 << bits) - 1 - grid.zero_point};
        const double error = MeanSquaredError(all, grid.step[0], levels);
        if (error < least) {
          least = error;
          best = end;
        }
      }
      end = best;
    };
    for (int round = 0; round < 2; ++round) {
      if (high > 0) search(high);
      if (low < 0) search(low);
    }
  }
  return AffineGrid(low, high, bits);
}

std::vector<double> ChannelErrors(std::span<const Histogram> channels, const Grid& grid) {
  std::vector<double> errors;
  for (size_t i = 0; i < channels.size(); ++i) {
    const auto c = static_cast<int64_t>(i);
    const int multiple = 1 << grid.ShiftOf(c);
    // Symbols count from zero_point / 2^shift, which is whole on every grid made here.
    const int zero = grid.zero_point / multiple;
    errors.push_back(MeanSquaredError(channels[i], static_cast<double>(grid.StepOf(c)) * multiple,
                                      {-zero, grid.MaxSymbol(c) - zero}));
  }
  return errors;
}

}  // namespace bitstage
