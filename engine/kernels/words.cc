#include "engine/kernels/words.h"

#include <algorithm>
#include <cmath>

#include "engine/kernels/reference/reference.h"

namespace bitstage::kernels {
namespace {

constexpr int64_t kLargest = 0xffff;
constexpr int64_t kLargestPlain = 0x8000;  // without a shift, where the packing to bytes must not see a sign
constexpr int64_t kMaxAccumulator = int64_t{1} << 28;
constexpr int kMaxSymbol = 63;     // with more, windows are too narrow
constexpr int kMaxWordShift = 15;  // of words
constexpr int kScales = 6;         // tried
constexpr int kPlainScales = 3;    // tried without a shift
constexpr double kMostRough = 0.1;
constexpr int kMultipliers = 8;  // tried a channel and scale, either side of the best guess

// The accumulators of one channel at which its codes begin.
class Channel {
 public:
  Channel(const OutputTransform& transform, int64_t channel, AccumulatorRange range)
      : transform_(transform),
        channel_(channel),
        range_(range),
        shift_(transform.shift == nullptr ? 0 : transform.shift[channel]),
        first_(SymbolAt(range.least)),
        last_(SymbolAt(range.most)) {}

  // Whether codes never fall while accumulators rise, and are few; and all numbers are of a usual size.
  [[nodiscard]] bool Fits() const {
    const float mult = transform_.mult[channel_];
    return (mult == 0 || (mult > 0x1p-30F && mult < 0x1p30F)) && std::fabs(transform_.add[channel_]) < 0x1p30F &&
           last_ <= kMaxSymbol;
  }
  // The largest scale that keeps the last code within 16 bits.
  [[nodiscard]] double MaxScale() const { return kLargest * symbols_an_accumulator() / std::max(last_, 1); }
  // How far, in windows at a scale of 1, a multiplier without a shift may put the last code: half a multiplier.
  [[nodiscard]] double roughness() const { return 0x1p-17 * last_ / (symbols_an_accumulator() * slope()); }
  // Codes an accumulator.
  [[nodiscard]] double slope() const { return symbols_an_accumulator() * (1 << shift_); }

  // Finds where symbols first_ + 1 … last_ begin.
  void FindBegins() {
    int64_t least = range_.least;
    const double step = 1 / static_cast<double>(transform_.mult[channel_]);
    double guess = (first_ + 0.5 - transform_.add[channel_]) * step;
    for (int symbol = first_ + 1; symbol <= last_; ++symbol, guess += step) {
      begins_[symbol] = least = Begin(symbol, least, guess);
    }
  }

  // The offsets with which `multiply` is exact: none where least > most.
  struct Offsets {
    int64_t least, most;
  };
  [[nodiscard]] Offsets OffsetsOf(int64_t multiply, int scale, int shift) const {
    const int64_t least = range_.least;
    const int64_t most = range_.most;
    Offsets offsets = {-kMaxAccumulator - scale * least, kMaxAccumulator - scale * most};
    // Where symbols begin: symbol · 2^(shift_ + 16 + shift) / multiply, rounded up, from one division.
    const int64_t one = int64_t{1} << (shift_ + 16 + shift);
    const int64_t quotient = one / multiply;
    const int64_t remainder = one % multiply;
    int64_t whole = first_ * quotient + first_ * remainder / multiply;
    int64_t part = first_ * remainder % multiply;
    const auto begin = [&] { return whole + (part > 0 ? 1 : 0); };
    const auto next = [&] {
      whole += quotient;
      part += remainder;
      if (part < multiply) return;
      part -= multiply;
      ++whole;
    };
    // The symbol that all accumulators reach, those that some do, and one that none does.
    if (first_ > 0) offsets.least = std::max(offsets.least, begin() - scale * least);
    for (int symbol = first_ + 1; symbol <= last_; ++symbol) {
      next();
      const int64_t offset = begin() - scale * begins_[symbol];
      offsets.least = std::max(offsets.least, offset);
      offsets.most = std::min(offsets.most, offset + scale - 1);
    }
    if (begin() > kLargest) return {1, 0};
    next();
    if (last_ < top() && begin() <= kLargest) offsets.most = std::min(offsets.most, begin() - 1 - scale * most);
    return offsets;
  }

 private:
  [[nodiscard]] double symbols_an_accumulator() const { return transform_.mult[channel_]; }
  [[nodiscard]] int top() const {
    return static_cast<int>(std::nearbyint(transform_.high[channel_]));  // low > high: high wins
  }

  [[nodiscard]] int SymbolAt(int64_t acc) const {
    const float t = reference::Scaled(transform_, channel_, static_cast<int32_t>(acc));
    return reference::Code(transform_, channel_, t) >> shift_;
  }

  // The least accumulator that gives `symbol` or more, from `least` on, where the symbol before begins; near `guess`.
  [[nodiscard]] int64_t Begin(int symbol, int64_t least, double guess) const {
    if (least == range_.most) return least;
    auto below =
        static_cast<int64_t>(std::clamp(guess, static_cast<double>(least), static_cast<double>(range_.most) - 1));
    if (guess < 0 && below > least) --below;  // rounded down
    int64_t at = below + 1;
    for (int64_t step = 1; SymbolAt(at) < symbol; step *= 2) {
      below = at;
      at = std::min<int64_t>(range_.most, at + step);
    }
    for (int64_t step = 1; below > least && SymbolAt(below) >= symbol; step *= 2) {
      at = below;
      below = std::max(least, below - step);
    }
    if (below == least && SymbolAt(below) >= symbol) return least;  // the symbol before is skipped
    while (at - below > 1) {
      const int64_t middle = below + (at - below) / 2;
      (SymbolAt(middle) < symbol ? below : at) = middle;
    }
    return at;
  }

  const OutputTransform& transform_;
  int64_t channel_;
  AccumulatorRange range_;
  int shift_;
  int first_, last_;                // symbols
  int64_t begins_[kMaxSymbol + 1];  // of symbols first_ + 1 … last_
};

// Multipliers near the one that has the channels' slope, the nearest first.
bool FindChannel(const OutputTransform& transform, size_t o, AccumulatorRange range, Words& words) {
  Channel channel(transform, static_cast<int64_t>(o), range);
  channel.FindBegins();
  const int64_t most = words.shift == 0 ? kLargestPlain : kLargest;
  const double slope = std::ldexp(channel.slope(), 16 + words.shift) / words.scale;
  const auto best = static_cast<int64_t>(std::nearbyint(slope));
  for (int64_t i = 0; i <= 2 * kMultipliers; ++i) {
    const int64_t multiply = best + (i % 2 == 0 ? -i / 2 : (i + 1) / 2);
    if (multiply < 1 || multiply > most) continue;
    const Channel::Offsets offsets = channel.OffsetsOf(multiply, words.scale, words.shift);
    if (offsets.least > offsets.most) continue;
    words.multiply[o] = static_cast<int32_t>(multiply);
    words.offset[o] = static_cast<int32_t>(offsets.least + (offsets.most - offsets.least) / 2);
    return true;
  }
  return false;
}

}  // namespace

std::optional<Words> FindWords(const OutputTransform& transform, std::span<const AccumulatorRange> ranges,
                               int max_scale) {
  double most = max_scale;
  double slope = 0;
  double roughness = 0;
  int64_t largest = 0;
  for (size_t o = 0; o < ranges.size(); ++o) {
    const Channel channel(transform, static_cast<int64_t>(o), ranges[o]);
    if (!channel.Fits()) return std::nullopt;
    most = std::min(most, channel.MaxScale());
    slope = std::max(slope, channel.slope());
    if (channel.slope() > 0) roughness = std::max(roughness, channel.roughness());
    largest = std::max({largest, -int64_t{ranges[o].least}, int64_t{ranges[o].most}});
  }
  most = std::min(most, static_cast<double>(kMaxAccumulator) / static_cast<double>(largest + 1));
  if (most < 1 || slope <= 0) return std::nullopt;
  Words words = {.scale = 1,
                 .shift = 0,
                 .multiply = std::vector<int32_t>(ranges.size()),
                 .offset = std::vector<int32_t>(ranges.size())};
  const auto found = [&] {
    size_t o = 0;
    while (o < ranges.size() && FindChannel(transform, o, ranges[o], words)) ++o;
    return o == ranges.size();
  };
  // No shift is two instructions less. Multipliers are small then, and the less exact the larger the scale, while a
  // window loses one step of A to rounding: the best scale lies between.
  words.scale = std::clamp(static_cast<int>(1 / std::sqrt(roughness)), 1, static_cast<int>(most));
  if (roughness * words.scale + 1.0 / words.scale < kMostRough) {
    for (int tried = 0; tried < kPlainScales; ++tried, --words.scale) {
      if (found()) return words;
    }
  }
  words.scale = static_cast<int>(most);
  for (int tried = 0; tried < kScales && words.scale > 0; ++tried, --words.scale) {
    // The largest multiplier takes all 16 bits. It may be a little larger than the slope says.
    const double room = (kLargest - kMultipliers) * words.scale / slope;
    words.shift = std::clamp(static_cast<int>(std::floor(std::log2(room))) - 16, 0, kMaxWordShift);
    if (found()) return words;
  }
  return std::nullopt;
}

}  // namespace bitstage::kernels
