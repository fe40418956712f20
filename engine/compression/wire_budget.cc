#include "engine/compression/wire_budget.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/compression/boundary_statistics.h"
#include "engine/compression/grid_assignment.h"
#include "engine/compression/sensitivity.h"
#include "engine/graph/partition.h"
#include "engine/quant/allocation.h"

namespace bitstage {
namespace {

constexpr int kLeastBits = 2;
constexpr int kMostBits = 8;
constexpr int64_t kImages = 64;      // that frames and noise are measured on
constexpr double kFrameHeader = 24;  // bytes (docs/frame-format.md)

// The values that leave the stages, all but the last.
absl::StatusOr<std::vector<ValueId>> Boundaries(const Graph& graph, int stages) {
  Model model;
  model.graph = graph.Clone();
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Model> parts, Partition(model, stages));
  std::vector<ValueId> boundaries;
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const std::string& name = parts[i].graph.value(parts[i].graph.outputs[0]).name;
    const auto found =
        std::find_if(graph.values.begin(), graph.values.end(), [&](const Value& value) { return value.name == name; });
    boundaries.push_back(static_cast<ValueId>(found - graph.values.begin()));
  }
  return boundaries;
}

double CodedBits(const BoundaryTables& tables, int stored) {
  double bits = stored;
  if (tables.plain_bits > 0) bits = std::min<double>(bits, tables.plain_bits);
  if (tables.contexts_bits > 0) bits = std::min<double>(bits, tables.contexts_bits);
  return bits;
}

}  // namespace

absl::StatusOr<Graph> AssignGridsForWire(const Graph& graph, const Calibration& calibration, const Tensor& all_images,
                                         const Recipe& recipe, const GroupRecipes& of_group, bool depthwise_steps,
                                         double bytes, ThreadPool* pool) {
  const Tensor images = FirstImages(all_images, kImages);
  const auto assigned = [&](const GroupRecipes& groups) -> absl::StatusOr<Graph> {
    Graph with_grids = graph.Clone();
    BITSTAGE_RETURN_IF_ERROR(AssignGrids(with_grids, calibration, recipe.activations, groups, depthwise_steps));
    return with_grids;
  };
  BITSTAGE_ASSIGN_OR_RETURN(const Graph plain, assigned(of_group));
  BITSTAGE_ASSIGN_OR_RETURN(const std::vector<ValueId> boundaries, Boundaries(plain, recipe.stages));
  BITSTAGE_ASSIGN_OR_RETURN(const ActivationNoise noise, ActivationNoise::Create(graph, images.Clone(), pool));
  const auto group_of = [&](ValueId value) { return noise.groups().of_value[static_cast<size_t>(value)]; };
  // Those of all groups, with the width of each boundary's.
  const auto narrowed = [&](const auto& bits_of_boundary) {
    GroupRecipes widths = of_group;
    for (size_t i = 0; i < boundaries.size(); ++i) {
      const int bits = bits_of_boundary(i);
      widths[group_of(boundaries[i])] = {.bits = bits, .code_bits = bits};
    }
    return assigned(widths);
  };

  std::vector<LayerOptions> options(boundaries.size());
  for (int bits = kLeastBits; bits <= kMostBits; ++bits) {
    BITSTAGE_ASSIGN_OR_RETURN(const Graph with_grids, narrowed([&](size_t) { return bits; }));
    BITSTAGE_ASSIGN_OR_RETURN(const auto tables, MeasureBoundaryTables(with_grids, images, recipe.link_mbps, pool));
    for (size_t i = 0; i < boundaries.size(); ++i) {
      const Value& value = with_grids.value(boundaries[i]);
      BITSTAGE_ASSIGN_OR_RETURN(const double alone, noise.OfGroup(with_grids, group_of(boundaries[i])));
      const double coded = CodedBits(tables.at(value.name), bits);
      options[i].push_back({kFrameHeader + std::ceil(static_cast<double>(value.shape.elements()) * coded / 8), alone});
    }
  }
  const absl::StatusOr<Allocation> allocation = AllocateUnderCost(options, bytes);
  if (allocation.status().code() == absl::StatusCode::kFailedPrecondition) {
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<Allocation> curve, AllocationCurve(options));
    return absl::InvalidArgumentError(
        absl::StrCat("budget: ", std::lround(bytes), " wire bytes an image are too few, ",
                     std::lround(curve.front().cost), " is the least (", kLeastBits, " bits an element at ",
                     boundaries.size(), boundaries.size() == 1 ? " boundary" : " boundaries", ", Huffman-coded)"));
  }
  BITSTAGE_RETURN_IF_ERROR(allocation.status());
  return narrowed([&](size_t i) { return kLeastBits + static_cast<int>(allocation->choice[i]); });
}

}  // namespace bitstage
