#include "engine/training/options.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace bitstage {
namespace {

constexpr std::array<absl::string_view, 3> kClipNames = {"lsq", "pact", "fixed"};
constexpr std::array<absl::string_view, 2> kNormNames = {"batch", "none"};
constexpr std::array<absl::string_view, 2> kLossNames = {"distill", "labels"};
constexpr std::array<absl::string_view, 2> kOptimizerNames = {"adam", "sgd"};
constexpr std::array<absl::string_view, 2> kScheduleNames = {"cosine", "step"};

template <typename Enum, size_t kSize>
absl::string_view NameIn(const std::array<absl::string_view, kSize>& names, Enum value) {
  return names[static_cast<size_t>(value)];
}

}  // namespace

std::string Fingerprint(const TrainingOptions& o) {
  std::string text;
  const auto add = [&](absl::string_view key, const auto& value) { absl::StrAppend(&text, key, " ", value, "\n"); };
  const auto number = [](double x) { return absl::StrFormat("%.17g", x); };
  add("codebook", Name(o.codebook));
  if (o.codebook == Codebook::kUniform) add("weight_bits", o.weight_bits);
  add("subgroups", Name(o.subgroups));
  add("max_alpha", o.max_alpha);
  add("eta_of_max", number(o.eta_of_max));
  add("eta_of_mean", number(o.eta_of_mean));
  if (o.scaled_zeros) add("scaled_zeros", 1);
  add("activation_bits", absl::StrJoin(o.activation_bits, ","));
  add("clips", NameIn(kClipNames, o.clips));
  add("norm", NameIn(kNormNames, o.norm));
  add("frozen_share", number(o.frozen_share));
  add("loss", NameIn(kLossNames, o.loss));
  add("temperature", number(o.temperature));
  add("optimizer", NameIn(kOptimizerNames, o.optimizer));
  add("schedule", NameIn(kScheduleNames, o.schedule));
  add("learning_rate", number(o.learning_rate));
  add("momentum", number(o.momentum));
  add("weight_decay", number(o.weight_decay));
  add("warmup_steps", o.warmup_steps);
  add("batch", o.batch);
  add("images", o.images);
  add("held_back", o.held_back);
  add("shift", o.shift);
  add("flip", o.flip ? 1 : 0);
  if (o.mix) add("mix", 1);
  add("seed", o.seed);
  add("threads", o.threads);
  return text;
}

std::string Describe(const TrainingOptions& o) {
  const std::string weights =
      o.codebook == Codebook::kUniform
          ? absl::StrCat("inner weights of ", o.weight_bits, " bits")
          : absl::StrCat("SYQ ", Name(o.codebook), " ", Name(o.subgroups), ", alphas to ", o.max_alpha);
  std::string text =
      absl::StrCat(weights, ", activations ", absl::StrJoin(o.activation_bits, " then "), " bits, steps ",
                   NameIn(kClipNames, o.clips), ", ",
                   o.loss == LossKind::kDistill
                       ? absl::StrCat("distilled at temperature ", o.temperature, o.mix ? " on mixtures" : "")
                       : "trained on labels",
                   " from ", o.images, " images, ", NameIn(kOptimizerNames, o.optimizer), " ", o.learning_rate, " ",
                   NameIn(kScheduleNames, o.schedule), ", batch ", o.batch, ", seed ", o.seed);
  return text;
}

double LearningRate(const TrainingOptions& options, int64_t step) {
  const double warmup = static_cast<double>(options.warmup_steps);
  const double at = static_cast<double>(step);
  if (at < warmup) return options.learning_rate * (at + 1) / (warmup + 1);
  const double length = std::max(1.0, static_cast<double>(options.steps()) - warmup);
  const double progress = std::clamp((at - warmup) / length, 0.0, 1.0);
  if (options.schedule == ScheduleKind::kStep) {
    return options.learning_rate * (progress < 0.5 ? 1 : progress < 0.75 ? 0.1 : 0.01);
  }
  return options.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * progress));
}

int ActivationBits(const TrainingOptions& options, int64_t step) {
  const auto stages = static_cast<int64_t>(options.activation_bits.size());
  return options.activation_bits[static_cast<size_t>(
      std::min(stages - 1, step * stages / std::max<int64_t>(1, options.steps())))];
}

bool IsFrozen(const TrainingOptions& options, int64_t step) {
  return static_cast<double>(step) >= (1 - options.frozen_share) * static_cast<double>(options.steps());
}

}  // namespace bitstage
