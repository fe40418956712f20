#include "engine/compression/coding_choice.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/string_view.h"

namespace bitstage {
namespace {

// Nanoseconds an element, encoding and decoding together: ResNet-20's blocks of 16,384 elements, whole frames, one core
// of Zen 5 at 4.1 GHz; codec_bench measures them anew. Of pairs n = 3, of wide ones n = 4, of single symbols n = 5.
struct Plain {
  double one_table;
  double groups;
};
struct TierCosts {
  absl::string_view kernels;
  double stored;
  Plain pairs;       // cells of up to kShortPairBits
  Plain wide_pairs;  // codes of more than 8 bits
  Plain singles;
  double context_pairs;
  double context_singles;
};
constexpr TierCosts kTiers[] = {
    {"portable", 1.9, {0.73, 0.75}, {0.75, 0.97}, {0.75, 1.30}, 2.1, 2.9},
    {"avx2", 1.9, {0.72, 0.75}, {0.75, 0.97}, {0.69, 1.30}, 2.1, 2.9},
    {"avx512_vbmi", 1.9, {0.17, 0.20}, {0.71, 0.71}, {0.27, 0.34}, 1.1, 1.8},
};
constexpr int kShortPairBits = 6;

const TierCosts& CostsOf(const codec::CellKernels& kernels) {
  const auto* const found = std::find_if(std::begin(kTiers), std::end(kTiers),
                                         [&](const TierCosts& tier) { return tier.kernels == kernels.name; });
  return found != std::end(kTiers) ? *found : kTiers[0];
}

}  // namespace

double StoredCost(const codec::CellKernels& kernels) { return CostsOf(kernels).stored; }

double PlainCost(const codec::CellKernels& kernels, const PlainForm& form) {
  const TierCosts& tier = CostsOf(kernels);
  const Plain& costs = !form.pairs ? tier.singles : form.cell_bits <= kShortPairBits ? tier.pairs : tier.wide_pairs;
  return form.one_table ? costs.one_table : costs.groups;
}

double ContextsCost(const codec::CellKernels& kernels, bool pairs) {
  const TierCosts& tier = CostsOf(kernels);
  return pairs ? tier.context_pairs : tier.context_singles;
}

double TimeOnLink(const CodingMeasure& measure, double link_mbps) {
  return measure.bits * 1000 / link_mbps + measure.nanoseconds;
}

FrameCoding ChooseCoding(const CodingMeasures& measures, double link_mbps) {
  const auto time = [&](const CodingMeasure& measure) { return TimeOnLink(measure, link_mbps); };
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
