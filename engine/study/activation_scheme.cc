#include "engine/study/activation_scheme.h"

#include <initializer_list>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace bitstage {
namespace {

// The value that `word` stands for.
template <typename T>
bool Lookup(absl::string_view word, std::initializer_list<std::pair<absl::string_view, T>> names, T& value) {
  for (const auto& [name, meaning] : names) {
    if (word != name) continue;
    value = meaning;
    return true;
  }
  return false;
}

bool ParseStep(absl::string_view word, StepKind& step) {
  return Lookup<StepKind>(
      word, {{"channel", StepKind::kChannel}, {"tensor", StepKind::kTensor}, {"shift", StepKind::kPowerOfTwo}}, step);
}

bool ParseClip(absl::string_view word, ClipRule& clip) {
  return Lookup<ClipRule::Kind>(
      word, {{"mse", ClipRule::kMse}, {"max", ClipRule::kMax}, {"percentile", ClipRule::kPercentile}}, clip.kind);
}

bool ParseRanking(absl::string_view word, ActivationScheme& scheme) {
  if (Lookup<Ranking>(word, {{"greedy", Ranking::kGreedy}, {"gain", Ranking::kGain}}, scheme.ranking)) return true;
  if (!absl::ConsumePrefix(&word, "random")) return false;
  scheme.ranking = Ranking::kRandom;
  return word.empty() || absl::SimpleAtoi(word, &scheme.seed);
}

// "3", "3+1" or "3+1@0.4".
bool ParseWidths(absl::string_view text, ActivationScheme& scheme) {
  const std::vector<absl::string_view> share = absl::StrSplit(text, absl::MaxSplits('@', 1));
  const std::vector<absl::string_view> widths = absl::StrSplit(share[0], absl::MaxSplits('+', 1));
  const bool split = scheme.method == StudyMethod::kDqa || scheme.method == StudyMethod::kServed;
  if (!split && (share.size() > 1 || widths.size() > 1)) return false;
  if (!absl::SimpleAtoi(widths[0], &scheme.bits)) return false;
  if (widths.size() > 1 && !absl::SimpleAtoi(widths[1], &scheme.extra_bits)) return false;
  if (share.size() > 1 && !absl::SimpleAtod(share[1], &scheme.important_share)) return false;
  const int least = scheme.method == StudyMethod::kUnsigned || scheme.method == StudyMethod::kServed ? 1 : 2;
  return scheme.bits >= least && scheme.extra_bits >= 0 && scheme.bits + scheme.extra_bits <= 8 &&
         scheme.important_share >= 0 && scheme.important_share <= 1;
}

bool ParseWords(const std::vector<absl::string_view>& words, ActivationScheme& scheme) {
  if (words[0] == "float") return words.size() == 1;
  if (!Lookup<StudyMethod>(words[0],
                           {{"direct", StudyMethod::kDirect},
                            {"dqa", StudyMethod::kDqa},
                            {"noisy", StudyMethod::kNoisy},
                            {"unsigned", StudyMethod::kUnsigned},
                            {"served", StudyMethod::kServed},
                            {"adaptive", StudyMethod::kAdaptive}},
                           scheme.method)) {
    return false;
  }
  if (scheme.method == StudyMethod::kAdaptive) {
    return words.size() == 2 && absl::SimpleAtod(words[1], &scheme.mean_bits) && scheme.mean_bits >= 2 &&
           scheme.mean_bits <= 8;
  }
  if (words.size() < 2 || !ParseWidths(words[1], scheme)) return false;
  switch (scheme.method) {
    case StudyMethod::kDqa: return words.size() == 2 || (words.size() == 3 && ParseRanking(words[2], scheme));
    case StudyMethod::kServed: return words.size() == 2 || (words.size() == 3 && ParseStep(words[2], scheme.step));
    case StudyMethod::kUnsigned:
      return words.size() <= 4 && (words.size() < 3 || ParseClip(words[2], scheme.clip)) &&
             (words.size() < 4 || ParseStep(words[3], scheme.step));
    default: return words.size() == 2;
  }
}

}  // namespace

absl::StatusOr<ActivationScheme> ParseScheme(absl::string_view text) {
  ActivationScheme scheme;
  scheme.text = std::string(text);
  if (ParseWords(absl::StrSplit(text, ':'), scheme)) return scheme;
  return absl::InvalidArgumentError(absl::StrCat(
      "scheme '", text,
      "' is not understood, expected float, direct:N, dqa:N+M[@R][:greedy|gain|random[SEED]], noisy:N, ",
      "unsigned:N[:mse|max|percentile[:channel|tensor|shift]], served:N+M[@R][:channel|tensor|shift] or adaptive:BITS, "
      "N + M <= 8"));
}

}  // namespace bitstage
