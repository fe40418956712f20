// Recipe: what a user asks of `bitstage-model quantize`, from flags or from a recipe file.
//
//   weights      adaptive                                  a width a layer, by the adaptive method (arXiv 1712.01048)
//                uniform:BITS[:channel|layer]              2…8 bits everywhere
//                inner:BITS[:channel|layer]                2…8 bits; first, last and depthwise layers 8 bits
//                syq:binary|ternary[:pixel|row|layer]      SYQ codes (arXiv 1807.00301); first and last layer 8 bits;
//                                                          pixel/N, row/N: whole alphas to N, not 127
//   activations  uniform:BITS                              2…8 bits
//                dqa:N[+M]                                 important channels get M more bits (arXiv 2412.09687)
//                dqa-paper:N[+M]                           the paper's literal signed grid, a step per channel
//                adaptive:BITS                             a grid of the first two kinds for each group of values that
//                                                          must share one, BITS an element on average
//                                                          (activation_widths.h)
//   budget       "4.5 bits" · "1.2 MB" · "300 KB" · "-0.5 points" · "noise 0.05" · "2 ms" · "900 wire bytes"
//                                                         for adaptive weights
//   menu         ENTRY,ENTRY…                              what adaptive weights choose from, each of
//                rates                                     codes for entropy coding at 1 … 8 bits in quarters
//                2 … 8                                     widths, a scale a channel
//                uniform:…, syq:…                          as for weights, the first and the last layer included
//
// A recipe file is a JSON object with these keys and the options below; unknown keys are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "engine/tensor/weight_codes.h"

namespace bitstage {

enum class WeightMethod : uint8_t { kAdaptive, kUniform, kSyq };

struct WeightRecipe {
  WeightMethod method = WeightMethod::kAdaptive;
  int bits = 4;                            // kUniform
  bool only_inner = false;                 // of fixed codes: first, last and depthwise layers have 8 bits
  Codebook codebook = Codebook::kTernary;  // kSyq
  ScaleKind scale = ScaleKind::kChannel;
  int max_alpha = 127;  // kSyq, kRow and kPixel; up to 14 all 3 x 3 convolutions may be exact Winograd ones

  bool operator==(const WeightRecipe&) const = default;
};

enum class ActivationMethod : uint8_t { kUniform, kDqa, kDqaPaper, kAdaptive };

inline constexpr int kLeastActivationBits = 2;

struct ActivationRecipe {
  ActivationMethod method = ActivationMethod::kUniform;
  int bits = 8;                  // n
  int extra_bits = 0;            // m
  double important_share = 0.5;  // r: the share of channels that get the extra bits
  // Channels below 8 bits have shifts on a common scale so wide. 6: all 3 x 3 convolutions may be exact Winograd ones
  // (engine/kernels/winograd_conv.h), with less choice of shifts.
  int code_bits = 8;
  double mean_bits = 0;  // kAdaptive
};

enum class BudgetKind : uint8_t { kNoise, kBits, kBytes, kPoints, kMilliseconds, kWireBytes };

// How much an adaptive allocation may spend.
struct Budget {
  BudgetKind kind = BudgetKind::kNoise;
  // kNoise: output noise over the margin, mean‖r_z‖² / mean‖r*‖² · kBits: mean bits a weight at rest, coded, tables and
  // scales included · kBytes: the same in all · kPoints: top-1 points that calibration images may lose against float ·
  // kMilliseconds: of one image on one thread of this CPU (latency.h) · kWireBytes: that one image sends between the
  // stages (wire_budget.h).
  double amount = 0;
};

struct Recipe {
  WeightRecipe weights;
  ActivationRecipe activations;
  std::optional<Budget> budget;       // absent: the default noise
  std::vector<WeightRecipe> menu;     // of adaptive weights, kAdaptive here meaning rates; empty: DefaultMenu
  bool second_order_rounding = true;  // GPTQ (arXiv 2210.17323)
  bool bias_correction = true;
  int calibration_images = 1000;
  double link_mbps = 10000;  // of the links that boundary values will cross: what their frames are chosen for
  int stages = 2;            // that a budget of wire bytes is for
  uint64_t seed = 1;         // which images calibrate, where a set has more
};

absl::StatusOr<WeightRecipe> ParseWeights(absl::string_view text);
absl::StatusOr<ActivationRecipe> ParseActivations(absl::string_view text);
absl::StatusOr<Budget> ParseBudget(absl::string_view text);
absl::StatusOr<std::vector<WeightRecipe>> ParseMenu(absl::string_view text);

// Rates; under a budget of time, for which kernels must know widths, 2, 3, 4, 5, 6 and 8 bits. Without SYQ codes, which
// win neither in bytes nor in time (docs/accuracy.md, "Which codes win").
std::vector<WeightRecipe> DefaultMenu(const std::optional<Budget>& budget);

// INVALID_ARGUMENT where a budget or a menu does not go with the rest.
absl::Status Validate(const Recipe& recipe);

// The contents of a recipe file. INVALID_ARGUMENT naming the key.
absl::StatusOr<Recipe> ParseRecipe(absl::string_view json);

// The recipe in words, for a model's provenance: "weights adaptive (noise 0.05), activations dqa:5+1, GPTQ, …".
std::string Describe(const Recipe& recipe);
std::string Describe(const WeightRecipe& recipe);
std::string Describe(const ActivationRecipe& recipe);

}  // namespace bitstage
