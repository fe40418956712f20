#include "engine/compression/coding_choice.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/string_view.h"

namespace bitstage {
namespace {

// Nanoseconds an element, encoding and decoding together: ResNet-20's blocks of 16,384 elements, whole frames, one core
// of Zen 5 at 4.1 GHz; codec_bench measures them anew.
struct TierCosts {
  absl::string_view kernels;
  double stored;
  double pairs;       // cells of up to kShortPairBits
  double wide_pairs;  // codes of more than 8 bits
  double singles;
  double context_pairs;
  double context_singles;
};
constexpr TierCosts kTiers[] = {
    {"portable", 1.48, 0.92, 0.95, 1.42, 2.1, 3.1},
    {"avx2", 1.48, 0.91, 0.95, 1.39, 2.1, 3.1},
    {"avx512_vbmi", 1.48, 0.26, 0.79, 0.42, 1.15, 1.9},
};
constexpr int kShortPairBits = 6;

}  // namespace

void SetCosts(const codec::CellKernels& kernels, bool pairs, int cell_bits, CodingMeasures& measures) {
  const auto* const found = std::find_if(std::begin(kTiers), std::end(kTiers),
                                         [&](const TierCosts& tier) { return tier.kernels == kernels.name; });
  const TierCosts& tier = found != std::end(kTiers) ? *found : kTiers[0];
  measures.stored.nanoseconds = tier.stored;
  measures.plain.nanoseconds = !pairs ? tier.singles : cell_bits <= kShortPairBits ? tier.pairs : tier.wide_pairs;
  measures.contexts.nanoseconds = pairs ? tier.context_pairs : tier.context_singles;
}

FrameCoding ChooseCoding(const CodingMeasures& measures, double link_mbps) {
  const auto time = [&](const CodingMeasure& measure) { return measure.bits * 1000 / link_mbps + measure.nanoseconds; };
  FrameCoding best = FrameCoding::kStored;
  double least = time(measures.stored);
  const auto consider = [&](FrameCoding coding, const CodingMeasure& measure) {
    if (measure.bits <= 0 || time(measure) >= least) return;
    least = time(measure);
    best = coding;
  };
  consider(FrameCoding::kPlain, measures.plain);
  if (link_mbps <= kMaxLinkForContexts) consider(FrameCoding::kContexts, measures.contexts);
  return best;
}

}  // namespace bitstage
