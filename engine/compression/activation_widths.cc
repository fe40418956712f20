#include "engine/compression/activation_widths.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/compression/sensitivity.h"
#include "engine/quant/allocation.h"

namespace bitstage {
namespace {

constexpr int64_t kImages = 32;       // that noise is measured on
constexpr int kMostMeasuredBits = 6;  // beyond, each bit more quarters the noise

double MeanBits(const ActivationRecipe& recipe) { return recipe.bits + recipe.extra_bits * recipe.important_share; }

}  // namespace

std::vector<ActivationRecipe> WidthMenu(const ActivationRecipe& recipe) {
  std::vector<ActivationRecipe> menu;
  for (int bits = kLeastActivationBits; bits <= recipe.code_bits; ++bits) {
    ActivationRecipe& uniform = menu.emplace_back(recipe);
    uniform.method = ActivationMethod::kUniform;
    uniform.bits = bits;
    if (bits == recipe.code_bits) break;
    ActivationRecipe& dqa = menu.emplace_back(uniform);
    dqa.method = ActivationMethod::kDqa;
    dqa.extra_bits = 1;
  }
  return menu;
}

double BitsOfGroup(const Graph& with_grids, const GridGroups& groups, int group) {
  double bits = 0;
  for (size_t v = 0; v < groups.of_value.size(); ++v) {
    if (groups.of_value[v] != group || !groups.computed[v]) continue;
    const Value& value = with_grids.values[v];
    const int64_t inner = value.shape.elements() / value.shape[0];
    for (int64_t c = 0; c < value.shape[0]; ++c) bits += static_cast<double>(inner * value.grid->BitsOf(c));
  }
  return bits;
}

absl::StatusOr<GroupRecipes> AllotWidths(const Graph& graph, const Calibration& calibration, const Tensor& images,
                                         const ActivationRecipe& recipe, bool depthwise_steps, ThreadPool* pool,
                                         const std::function<void(int64_t, int64_t)>& progress) {
  BITSTAGE_ASSIGN_OR_RETURN(const ActivationNoise noise,
                            ActivationNoise::Create(graph, FirstImages(images, kImages), pool));
  const GridGroups& groups = noise.groups();
  double elements = 0;
  std::vector<int> free_groups;
  for (int group = 0; group < static_cast<int>(groups.fixed.size()); ++group) {
    if (groups.fixed[static_cast<size_t>(group)]) continue;
    double own = 0;
    for (size_t v = 0; v < groups.of_value.size(); ++v) {
      if (groups.of_value[v] == group && groups.computed[v]) {
        own += static_cast<double>(graph.values[v].shape.elements());
      }
    }
    if (own > 0) free_groups.push_back(group);
    elements += own;
  }

  const std::vector<ActivationRecipe> menu = WidthMenu(recipe);
  std::vector<LayerOptions> options(free_groups.size());
  int64_t done = 0;
  for (const ActivationRecipe& choice : menu) {
    Graph all = graph.Clone();
    BITSTAGE_RETURN_IF_ERROR(AssignGrids(all, calibration, choice, {}, depthwise_steps));
    for (size_t i = 0; i < free_groups.size(); ++i) {
      double effect = 0;
      if (MeanBits(choice) <= kMostMeasuredBits) {
        BITSTAGE_ASSIGN_OR_RETURN(effect, noise.OfGroup(all, free_groups[i]));
      } else {
        // Two entries of the menu a bit.
        const PrecisionOption& widest = options[i][2 * (kMostMeasuredBits - kLeastActivationBits)];
        effect = widest.distortion * std::pow(4.0, kMostMeasuredBits - MeanBits(choice));
      }
      options[i].push_back({BitsOfGroup(all, groups, free_groups[i]), effect});
      if (progress) progress(++done, static_cast<int64_t>(menu.size() * free_groups.size()));
    }
  }
  const absl::StatusOr<Allocation> allocation = AllocateUnderCost(options, recipe.mean_bits * elements);
  if (allocation.status().code() == absl::StatusCode::kFailedPrecondition) {
    double least = 0;
    for (const LayerOptions& own : options) least += own.front().cost;
    return absl::InvalidArgumentError(absl::StrCat("activations: ", recipe.mean_bits, " bits on average are too few, ",
                                                   least / elements, " is the least"));
  }
  BITSTAGE_RETURN_IF_ERROR(allocation.status());
  GroupRecipes chosen;
  for (size_t i = 0; i < free_groups.size(); ++i) chosen[free_groups[i]] = menu[allocation->choice[i]];
  return chosen;
}

}  // namespace bitstage
