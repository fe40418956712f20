#include "engine/quant/rate_rounding.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/quant/code_search.h"
#include "engine/quant/weights.h"

namespace bitstage {
namespace {

constexpr int kMagnitude = 127;
constexpr int kRounds = 3;  // prices from codes, then codes by prices
// Measured on training images: steps between the layer's and the channel's own spread, and prices far below λ (which
// takes errors as independent; those of prices all point to 0 and add up).
constexpr double kOwnShare = 0.7;
constexpr double kPriceShare = 0.2;

// The bits of every code, from how often each occurs. One that does not occur counts as seen half a time.
std::vector<double> BitsOf(std::span<const int8_t> codes) {
  std::vector<double> bits(2 * kMagnitude + 1, 0.5);
  const double total = 0.5 * static_cast<double>(bits.size()) + static_cast<double>(codes.size());
  for (const int8_t code : codes) ++bits[static_cast<size_t>(code + kMagnitude)];
  for (double& count : bits) count = -std::log2(count / total);
  return bits;
}

CodePrices Scaled(std::vector<double> bits, double price_of_bit) {
  for (double& price : bits) price *= price_of_bit;
  return CodePrices(std::move(bits));
}

double RootMeanSquare(std::span<const float> values) {
  double sum = 0;
  for (const float x : values) sum += static_cast<double>(x) * x;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

int WidthFor(std::span<const int8_t> codes) {
  int largest = 1;
  for (const int8_t code : codes) largest = std::max(largest, std::abs(code));
  int bits = 2;
  while ((1 << (bits - 1)) - 1 < largest) ++bits;
  return bits;
}

}  // namespace

absl::StatusOr<WeightCodes> RoundForRate(const Shape& shape, std::span<const float> weights,
                                         std::span<const Hessian> hessians, const RateOptions& options) {
  const auto groups = static_cast<int64_t>(hessians.size());
  if (groups < 1 || shape[0] % groups != 0 || hessians[0].size() != shape.InnerElements(0) ||
      static_cast<int64_t>(weights.size()) != shape.elements()) {
    return absl::InvalidArgumentError(absl::StrCat("rounding for rate: ", groups, " Hessians and ", weights.size(),
                                                   " weights for shape ", shape.ToString()));
  }
  const int64_t group_out = shape[0] / groups;
  WeightCodes codes;
  codes.shape = shape;
  codes.bits = 8;
  codes.kind = ScaleKind::kChannel;
  codes.codes.assign(weights.size(), 0);
  codes.scale.assign(static_cast<size_t>(shape[0]), 1.0f);

  std::vector<CodeSearch> searches;
  std::vector<double> price_of_bit;
  for (int64_t group = 0; group < groups; ++group) {
    const Hessian& hessian = hessians[static_cast<size_t>(group)];
    const int64_t size = group_out * hessian.size();
    const std::span<const float> part = weights.subspan(static_cast<size_t>(group * size), static_cast<size_t>(size));
    const double layer_deviation = RootMeanSquare(part);
    for (int64_t o = 0; o < group_out; ++o) {
      const std::span<const float> row =
          part.subspan(static_cast<size_t>(o * hessian.size()), static_cast<size_t>(hessian.size()));
      double largest = 0;
      for (const float w : row) largest = std::max(largest, std::abs(static_cast<double>(w)));
      const double deviation = std::pow(RootMeanSquare(row), kOwnShare) * std::pow(layer_deviation, 1 - kOwnShare);
      // d² / 12 = variance · 4^−bits
      const double step = std::sqrt(12.0) * deviation * std::exp2(-options.bits);
      codes.scale[static_cast<size_t>(group * group_out + o)] =
          largest == 0 ? 1.0f
                       : static_cast<float>(std::max(
                             {step, largest / kMagnitude, static_cast<double>(std::numeric_limits<float>::min())}));
    }
    BITSTAGE_ASSIGN_OR_RETURN(searches.emplace_back(), CodeSearch::Create(weights, codes, group * group_out, group_out,
                                                                          hessian, options.damping));
    price_of_bit.push_back(kPriceShare * std::log(4.0) / 12 * searches.back().MeanPivot());
  }
  for (int round = 0; round < 2 * kRounds; ++round) {
    const std::vector<double> bits = BitsOf(codes.codes);
    for (size_t group = 0; group < searches.size(); ++group) {
      const CodePrices prices = Scaled(bits, price_of_bit[group]);
      if (round < kRounds) {
        searches[group].FeedForward(prices);
      } else {
        searches[group].FitScales();
        searches[group].Descend(prices);
      }
      searches[group].Write(codes);
    }
  }
  codes.bits = WidthFor(codes.codes);
  return codes;
}

double EntropyBits(std::span<const int8_t> codes) {
  std::array<double, 256> counts{};
  for (const int8_t code : codes) ++counts[static_cast<size_t>(code + 128)];
  double bits = 0;
  for (const double count : counts) {
    if (count > 0) bits -= count * std::log2(count / static_cast<double>(codes.size()));
  }
  return bits / static_cast<double>(codes.size());
}

}  // namespace bitstage
