#include "engine/compression/recipe.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/base/status_macros.h"
#include "engine/graph/partition.h"

namespace bitstage {
namespace {

constexpr absl::string_view kWeightForms =
    "adaptive, uniform|inner:BITS[:channel|layer] or syq:binary|ternary[:pixel[/ALPHA]|row[/ALPHA]|layer]";
constexpr absl::string_view kActivationForms =
    "uniform:BITS[/CODE], dqa:N[+M][/CODE], dqa-paper:N[+M] or adaptive:BITS[/CODE]";
constexpr absl::string_view kBudgetForms =
    "'4.5 bits', '1.2 MB', '300 KB', '-0.5 points', 'noise 0.05', '2 ms' or '900 wire bytes'";
constexpr absl::string_view kMenuForms =
    "entries of rates, 2 to 8, uniform:BITS[:channel|layer] and syq:binary|ternary[:pixel[/ALPHA]|row[/ALPHA]|layer], "
    "with commas between";

absl::Status Refuse(absl::string_view what, absl::string_view text, absl::string_view forms) {
  return absl::InvalidArgumentError(absl::StrCat(what, " '", text, "' is not understood, expected ", forms));
}

constexpr absl::string_view kRates = "rates";  // the menu's entry

bool ParseInt(absl::string_view text, int low, int high, int* number) {
  return absl::SimpleAtoi(text, number) && *number >= low && *number <= high;
}

}  // namespace

absl::StatusOr<WeightRecipe> ParseWeights(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  WeightRecipe recipe;
  if (parts[0] == "adaptive" && parts.size() == 1) return recipe;
  if ((parts[0] == "uniform" || parts[0] == "inner") && (parts.size() == 2 || parts.size() == 3)) {
    recipe.method = WeightMethod::kUniform;
    recipe.only_inner = parts[0] == "inner";
    if (!ParseInt(parts[1], 2, 8, &recipe.bits)) return Refuse("weights", text, "2 to 8 bits");
    if (parts.size() == 3) {
      if (parts[2] != "channel" && parts[2] != "layer") return Refuse("weights", text, kWeightForms);
      recipe.scale = parts[2] == "channel" ? ScaleKind::kChannel : ScaleKind::kLayer;
    }
    return recipe;
  }
  if (parts[0] == "syq" && (parts.size() == 2 || parts.size() == 3)) {
    recipe.method = WeightMethod::kSyq;
    recipe.scale = ScaleKind::kPixel;
    if (parts[1] != "binary" && parts[1] != "ternary") return Refuse("weights", text, kWeightForms);
    recipe.codebook = parts[1] == "binary" ? Codebook::kBinary : Codebook::kTernary;
    if (parts.size() == 3) {
      const std::vector<std::string> halves = absl::StrSplit(parts[2], '/');
      const bool has_alphas = halves[0] == "pixel" || halves[0] == "row";
      if (halves.size() > 2 ||
          (halves.size() == 2 && !(has_alphas && ParseInt(halves[1], 1, 127, &recipe.max_alpha)))) {
        return Refuse("weights", text, "alphas of at most 1 to 127, a pixel or a row");
      }
      if (has_alphas)
        recipe.scale = halves[0] == "pixel" ? ScaleKind::kPixel : ScaleKind::kRow;
      else if (parts[2] == "layer")
        recipe.scale = ScaleKind::kLayer;
      else
        return Refuse("weights", text, kWeightForms);
    }
    return recipe;
  }
  return Refuse("weights", text, kWeightForms);
}

absl::StatusOr<ActivationRecipe> ParseActivations(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  if (parts.size() != 2) return Refuse("activations", text, kActivationForms);
  ActivationRecipe recipe;
  const std::vector<std::string> halves = absl::StrSplit(parts[1], '/');
  if (halves.size() > 2 || (halves.size() == 2 && parts[0] == "dqa-paper")) {
    return Refuse("activations", text, kActivationForms);
  }
  if (halves.size() == 2 && !ParseInt(halves[1], 2, 8, &recipe.code_bits)) {
    return Refuse("activations", text, "codes of 2 to 8 bits");
  }
  if (parts[0] == "uniform") {
    if (!ParseInt(halves[0], kLeastActivationBits, recipe.code_bits, &recipe.bits)) {
      return Refuse("activations", text, "2 to 8 bits, at most those of a code");
    }
    return recipe;
  }
  if (parts[0] == "adaptive") {
    recipe.method = ActivationMethod::kAdaptive;
    if (!absl::SimpleAtod(halves[0], &recipe.mean_bits) || !(recipe.mean_bits >= kLeastActivationBits) ||
        !(recipe.mean_bits <= recipe.code_bits)) {
      return Refuse("activations", text,
                    absl::StrCat("adaptive widths of ", kLeastActivationBits,
                                 " (the least there is) to 8 bits on average, at most those of a code"));
    }
    return recipe;
  }
  if (parts[0] != "dqa" && parts[0] != "dqa-paper") return Refuse("activations", text, kActivationForms);
  recipe.method = parts[0] == "dqa" ? ActivationMethod::kDqa : ActivationMethod::kDqaPaper;
  const std::vector<std::string> widths = absl::StrSplit(halves[0], '+');
  if (widths.size() > 2 || !ParseInt(widths[0], kLeastActivationBits, 8, &recipe.bits) ||
      (widths.size() == 2 && !ParseInt(widths[1], 0, 6, &recipe.extra_bits)) ||
      recipe.bits + recipe.extra_bits > recipe.code_bits) {
    return Refuse("activations", text, "N from 2, N + M at most 8, and at most the bits of a code");
  }
  return recipe;
}

absl::StatusOr<Budget> ParseBudget(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ' ', absl::SkipWhitespace());
  const bool wire = parts.size() == 3 && parts[1] == "wire" && parts[2] == "bytes";
  if (parts.size() != 2 && !wire) return Refuse("budget", text, kBudgetForms);
  Budget budget;
  const bool noise = parts[0] == "noise";
  if (!absl::SimpleAtod(parts[noise ? 1 : 0], &budget.amount)) return Refuse("budget", text, kBudgetForms);
  if (noise) {
    budget.kind = BudgetKind::kNoise;
  } else if (wire) {
    budget.kind = BudgetKind::kWireBytes;
  } else if (parts[1] == "ms") {
    budget.kind = BudgetKind::kMilliseconds;
  } else if (parts[1] == "bits") {
    budget.kind = BudgetKind::kBits;
  } else if (parts[1] == "points") {
    budget.kind = BudgetKind::kPoints;
    budget.amount = -budget.amount;
  } else if (parts[1] == "B" || parts[1] == "KB" || parts[1] == "MB") {
    budget.kind = BudgetKind::kBytes;
    budget.amount *= parts[1] == "MB" ? 1e6 : parts[1] == "KB" ? 1e3 : 1;
  } else {
    return Refuse("budget", text, kBudgetForms);
  }
  if (!(budget.amount > 0)) return Refuse("budget", text, kBudgetForms);
  return budget;
}

absl::StatusOr<std::vector<WeightRecipe>> ParseMenu(absl::string_view text) {
  std::vector<WeightRecipe> menu;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const absl::string_view name = absl::StripAsciiWhitespace(part);
    WeightRecipe entry;
    if (int bits = 0; ParseInt(name, 2, 8, &bits)) {
      entry = {.method = WeightMethod::kUniform, .bits = bits};
    } else if (name != kRates) {
      absl::StatusOr<WeightRecipe> weights = ParseWeights(name);
      if (!weights.ok() || weights->method == WeightMethod::kAdaptive || weights->only_inner)
        return Refuse("menu entry", name, kMenuForms);
      entry = *weights;
    }
    if (std::find(menu.begin(), menu.end(), entry) != menu.end()) {
      return absl::InvalidArgumentError(absl::StrCat("menu: '", name, "' is there twice"));
    }
    menu.push_back(entry);
  }
  return menu;
}

std::vector<WeightRecipe> DefaultMenu(const std::optional<Budget>& budget) {
  if (!budget || budget->kind != BudgetKind::kMilliseconds) return {WeightRecipe{}};
  std::vector<WeightRecipe> widths;
  for (const int bits : {2, 3, 4, 5, 6, 8}) widths.push_back({.method = WeightMethod::kUniform, .bits = bits});
  return widths;
}

absl::Status Validate(const Recipe& recipe) {
  if (recipe.weights.method != WeightMethod::kAdaptive) {
    if (recipe.budget) {
      return absl::InvalidArgumentError("a budget is for adaptive weights; these have their width given");
    }
    if (!recipe.menu.empty()) {
      return absl::InvalidArgumentError("a menu is for adaptive weights; these have their codes given");
    }
  }
  const bool in_time = recipe.budget && recipe.budget->kind == BudgetKind::kMilliseconds;
  if (in_time && std::find(recipe.menu.begin(), recipe.menu.end(), WeightRecipe{}) != recipe.menu.end()) {
    return absl::InvalidArgumentError(
        "menu: rates have no width that kernels could promise a time for; a budget of time takes widths (2 to 8) and "
        "SYQ codes");
  }
  return absl::OkStatus();
}

absl::StatusOr<Recipe> ParseRecipe(absl::string_view json) {
  const auto root = nlohmann::json::parse(json.begin(), json.end(), nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) return absl::InvalidArgumentError("recipe: expected a JSON object");
  Recipe recipe;
  for (const auto& [key, value] : root.items()) {
    const auto wrong = [&key = key](absl::string_view expected) {
      return absl::InvalidArgumentError(absl::StrCat("recipe: key '", key, "' expects ", expected));
    };
    if (key == "weights" || key == "activations" || key == "budget" || key == "menu") {
      if (!value.is_string()) return wrong("a text");
      const auto text = value.get<std::string>();
      if (key == "weights") {
        BITSTAGE_ASSIGN_OR_RETURN(recipe.weights, ParseWeights(text));
      } else if (key == "activations") {
        BITSTAGE_ASSIGN_OR_RETURN(recipe.activations, ParseActivations(text));
      } else if (key == "budget") {
        BITSTAGE_ASSIGN_OR_RETURN(recipe.budget, ParseBudget(text));
      } else {
        BITSTAGE_ASSIGN_OR_RETURN(recipe.menu, ParseMenu(text));
      }
    } else if (key == "second_order_rounding" || key == "bias_correction") {
      if (!value.is_boolean()) return wrong("true or false");
      (key == "bias_correction" ? recipe.bias_correction : recipe.second_order_rounding) = value.get<bool>();
    } else if (key == "important_share") {
      if (!value.is_number() || value.get<double>() < 0 || value.get<double>() > 1) return wrong("0 to 1");
      recipe.activations.important_share = value.get<double>();
    } else if (key == "calibration_images") {
      if (!value.is_number_unsigned() || value.get<uint64_t>() < 1 || value.get<uint64_t>() > 100000) {
        return wrong("1 to 100000");
      }
      recipe.calibration_images = value.get<int>();
    } else if (key == "link_mbps") {
      if (!value.is_number() || !(value.get<double>() > 0)) return wrong("a positive number");
      recipe.link_mbps = value.get<double>();
    } else if (key == "stages") {
      if (!value.is_number_unsigned() || value.get<uint64_t>() < 2 || value.get<uint64_t>() > kMaxStages) {
        return wrong(absl::StrCat("2 to ", kMaxStages));
      }
      recipe.stages = value.get<int>();
    } else if (key == "seed") {
      if (!value.is_number_unsigned()) return wrong("a whole number");
      recipe.seed = value.get<uint64_t>();
    } else {
      return absl::InvalidArgumentError(absl::StrCat("recipe: unknown key '", key, "'"));
    }
  }
  return recipe;
}

std::string Describe(const ActivationRecipe& recipe) {
  std::string text;
  switch (recipe.method) {
    case ActivationMethod::kUniform: text = absl::StrCat("uniform:", recipe.bits); break;
    case ActivationMethod::kDqa:
    case ActivationMethod::kDqaPaper:
      text = absl::StrCat(recipe.method == ActivationMethod::kDqa ? "dqa:" : "dqa-paper:", recipe.bits, "+",
                          recipe.extra_bits, " r=", recipe.important_share);
      break;
    case ActivationMethod::kAdaptive: text = absl::StrCat("adaptive:", recipe.mean_bits); break;
  }
  if (recipe.code_bits != 8) absl::StrAppend(&text, " in codes of ", recipe.code_bits, " bits");
  return text;
}

std::string Describe(const WeightRecipe& recipe) {
  switch (recipe.method) {
    case WeightMethod::kAdaptive: return "adaptive";
    case WeightMethod::kUniform:
      return absl::StrCat(recipe.only_inner ? "inner:" : "uniform:", recipe.bits, ":", Name(recipe.scale));
    case WeightMethod::kSyq: break;
  }
  return absl::StrCat("syq:", Name(recipe.codebook), ":", Name(recipe.scale),
                      recipe.max_alpha == 127 ? "" : absl::StrCat("/", recipe.max_alpha));
}

std::string Describe(const Recipe& recipe) {
  std::string text = absl::StrCat("weights ", Describe(recipe.weights));
  if (!recipe.menu.empty()) {
    absl::StrAppend(&text, " of ", absl::StrJoin(recipe.menu, ", ", [](std::string* out, const WeightRecipe& entry) {
      absl::StrAppend(out, entry == WeightRecipe{} ? std::string(kRates) : Describe(entry));
    }));
  }
  if (recipe.budget) {
    constexpr absl::string_view kUnits[] = {"of noise over margin", "bits", "bytes", "points", "ms", "wire bytes"};
    absl::StrAppend(&text, " (", recipe.budget->amount, " ", kUnits[static_cast<int>(recipe.budget->kind)], ")");
  }
  absl::StrAppend(&text, ", activations ", Describe(recipe.activations));
  if (recipe.second_order_rounding) absl::StrAppend(&text, ", GPTQ");
  if (recipe.bias_correction) absl::StrAppend(&text, ", bias correction");
  return text;
}

}  // namespace bitstage
