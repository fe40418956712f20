#include "engine/compression/compress.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/codec/weight_coding.h"
#include "engine/compression/activation_widths.h"
#include "engine/compression/boundary_statistics.h"
#include "engine/compression/calibration.h"
#include "engine/compression/grid_assignment.h"
#include "engine/compression/lowering.h"
#include "engine/compression/precision.h"
#include "engine/compression/sensitivity.h"
#include "engine/compression/wire_budget.h"
#include "engine/graph/passes.h"

namespace bitstage {
namespace {

// A budget in accuracy is met by bisection over the noise, between these and in this many steps.
constexpr double kLeastNoise = 1e-3;
constexpr double kMostNoise = 8.0;
constexpr int kPointSteps = 7;

// Quantization points that a QDQ model carries are dropped: new ones are calibrated.
int DropFakeQuantize(Graph& graph) {
  int dropped = 0;
  for (Node& node : graph.nodes) {
    if (!std::holds_alternative<FakeQuantize>(node.op)) continue;
    node.op = Unary{};
    ++dropped;
  }
  return dropped;
}

// Lowering changes constants in place, so every weighted node gets weights and a bias of its own.
void OwnConstants(Graph& graph) {
  std::vector<int> uses(graph.constants.size(), 0);
  const auto own = [&](ConstantId& id, const std::string& name) {
    if (uses[static_cast<size_t>(id)]++ == 0) return;
    Constant copy = graph.constant(id).Clone();
    copy.name = name;
    id = graph.AddConstant(std::move(copy));
    uses.push_back(1);
  };
  for (Node& node : graph.nodes) {
    std::visit(
        [&](auto& op) {
          if constexpr (requires {
                          op.weights;
                          op.bias;
                        }) {
            own(op.weights, absl::StrCat(node.name, "/weights"));
            if (op.bias != kNoConstant) {
              own(op.bias, absl::StrCat(node.name, "/bias"));
              return;
            }
            const int64_t outputs = graph.constant(op.weights).shape()[0];
            op.bias = graph.AddConstant(
                {absl::StrCat(node.name, "/bias"), Tensor(DataType::kFloat32, Shape{outputs}), std::nullopt});
            uses.push_back(1);
          }
        },
        node.op);
  }
}

std::vector<int64_t> Decisions(const Tensor& features) {
  const Shape& shape = features.shape();
  const int64_t size = shape.rank() > 1 ? shape[1] : 1;
  const int64_t inner = shape.rank() > 1 ? shape.InnerElements(1) : 1;
  const std::span<const float> z = features.Span<float>();
  std::vector<int64_t> decisions;
  for (int64_t n = 0; n < shape[0]; ++n) {
    for (int64_t v = 0; v < inner; ++v) {
      int64_t best = 0;
      const auto at = [&](int64_t k) { return z[static_cast<size_t>((n * size + k) * inner + v)]; };
      for (int64_t k = 1; k < size; ++k) {
        if (at(k) > at(best)) best = k;
      }
      decisions.push_back(best);
    }
  }
  return decisions;
}

// The work of one call of Compress.
class Compression {
 public:
  Compression(const Tensor& images, const Recipe& recipe, ThreadPool* pool, const CompressionProgress& progress,
              Stopwatch* stopwatch)
      : images_(images),
        recipe_(recipe),
        menu_(recipe.menu.empty() ? DefaultMenu(recipe.budget) : recipe.menu),
        pool_(pool),
        progress_(progress),
        stopwatch_(stopwatch) {}

  absl::StatusOr<Graph> Run(Graph graph) {
    OwnConstants(graph);
    BITSTAGE_ASSIGN_OR_RETURN(calibration_, Calibrate(graph, images_, pool_, Phase("calibrating")));
    if (recipe_.budget && recipe_.budget->kind == BudgetKind::kMilliseconds) return LowerWithinTime(graph);
    BITSTAGE_ASSIGN_OR_RETURN(Graph with_grids, WithGrids(graph));
    if (recipe_.weights.method != WeightMethod::kAdaptive) {
      return LowerTo(with_grids, FixedPrecision(graph, recipe_.weights));
    }
    BITSTAGE_ASSIGN_OR_RETURN(const std::vector<LayerMenu> menus,
                              MeasureMenus(with_grids, calibration_, images_, menu_, recipe_.second_order_rounding,
                                           pool_, Phase("measuring sensitivities")));
    if (!recipe_.budget || recipe_.budget->kind == BudgetKind::kWireBytes)
      return LowerTo(with_grids, AllocateByDefault(menus));
    const Budget& budget = *recipe_.budget;
    switch (budget.kind) {
      case BudgetKind::kNoise: return LowerTo(with_grids, AllocateForNoise(menus, budget.amount));
      case BudgetKind::kPoints: return LowerWithinPoints(with_grids, menus, budget.amount);
      case BudgetKind::kBits:
      case BudgetKind::kBytes:
      case BudgetKind::kMilliseconds:
      case BudgetKind::kWireBytes: break;
    }
    int64_t weights = 0;
    for (const LayerMenu& menu : menus) weights += menu.weights;
    const double bits =
        budget.kind == BudgetKind::kBytes ? budget.amount * 8 : budget.amount * static_cast<double>(weights);
    return LowerWithinSize(with_grids, menus, bits);
  }

  // Of how it went, for provenance; may be empty.
  [[nodiscard]] const std::string& note() const { return note_; }

 private:
  std::function<void(int64_t, int64_t)> Phase(const std::string& name) const {
    if (!progress_) return {};
    return [this, name](int64_t done, int64_t total) { progress_(name, done, total); };
  }

  absl::StatusOr<Graph> WithGrids(const Graph& graph) const {
    const WeightRecipe& weights = recipe_.weights;
    // Of adaptive weights: some may have; the others are measured as they will be.
    const std::vector<WeightRecipe> codes =
        weights.method == WeightMethod::kAdaptive ? menu_ : std::vector<WeightRecipe>{weights};
    const bool scale_per_channel = std::ranges::any_of(codes, [](const WeightRecipe& entry) {
      return entry.method != WeightMethod::kSyq && entry.scale == ScaleKind::kChannel;
    });
    GroupRecipes of_group;
    if (recipe_.activations.method == ActivationMethod::kAdaptive) {
      BITSTAGE_ASSIGN_OR_RETURN(of_group, AllotWidths(graph, calibration_, images_, recipe_.activations,
                                                      scale_per_channel, pool_, Phase("measuring activations")));
    }
    if (recipe_.budget && recipe_.budget->kind == BudgetKind::kWireBytes) {
      return AssignGridsForWire(graph, calibration_, images_, recipe_, of_group, scale_per_channel,
                                recipe_.budget->amount, pool_);
    }
    Graph with_grids = graph.Clone();
    BITSTAGE_RETURN_IF_ERROR(AssignGrids(with_grids, calibration_, recipe_.activations, of_group, scale_per_channel));
    return with_grids;
  }

  absl::StatusOr<Graph> LowerWithinTime(const Graph& graph) {
    if (stopwatch_ == nullptr) return absl::FailedPreconditionError("budget: nothing here can time a model");
    BITSTAGE_ASSIGN_OR_RETURN(
        const LatencyPlan plan,
        PlanForLatency(graph, calibration_, images_, recipe_.budget->amount, menu_, recipe_.second_order_rounding,
                       *stopwatch_, pool_, Phase("measuring sensitivities")));
    note_ = absl::StrFormat("%.4g ms an image predicted on one thread of the CPU it was made on", plan.predicted_ms);
    return LowerTo(plan.graph, plan.precision);
  }

  absl::StatusOr<Graph> LowerTo(const Graph& graph,
                                const absl::StatusOr<std::vector<LayerPrecision>>& precision) const {
    BITSTAGE_RETURN_IF_ERROR(precision.status());
    return Lower(graph, *precision, images_, {recipe_.second_order_rounding, recipe_.bias_correction}, pool_,
                 Phase("quantizing layers"));
  }

  // What a rate takes is known once layers are rounded: the allotment is corrected by it. A budget is refused by what
  // the smallest codes really take, too.
  absl::StatusOr<Graph> LowerWithinSize(const Graph& graph, const std::vector<LayerMenu>& menus, double bits) const {
    constexpr int kTries = 4;  // twice as many where none of them kept the budget
    constexpr double kNearEnough = 0.98;
    std::optional<Graph> best;
    double best_stored = 0;
    double wanted = std::max(bits, LeastBits(menus));
    double stored = 0;
    std::vector<LayerPrecision> last;
    for (int attempt = 0; attempt < (best_stored > bits ? 2 * kTries : kTries); ++attempt) {
      const auto precision = AllocateForSize(menus, wanted);
      if (!precision.ok() && best) break;
      BITSTAGE_RETURN_IF_ERROR(precision.status());
      if (*precision != last) {
        BITSTAGE_ASSIGN_OR_RETURN(Graph lowered, LowerTo(graph, precision));
        last = *precision;
        stored = 0;
        for (const size_t node : WeightedNodes(lowered)) {
          stored += 8.0 * static_cast<double>(StoredBytes(*lowered.constant(WeightsOf(lowered.nodes[node].op)).codes));
        }
        // Within the budget the largest is the best, outside it the smallest.
        const bool better =
            !best || (stored <= bits ? best_stored > bits || stored > best_stored : stored < best_stored);
        if (better) {
          best = std::move(lowered);
          best_stored = stored;
        }
      }
      if (stored <= bits && stored > kNearEnough * bits) break;
      wanted *= bits / stored * (stored > bits ? 0.995 : 1);
    }
    if (best_stored > bits) {
      return absl::InvalidArgumentError(absl::StrCat("budget: ", std::lround(bits / 8),
                                                     " bytes of weights are too few, ", std::lround(best_stored / 8),
                                                     " is the least that was reached"));
    }
    return std::move(*best);
  }

  // The smallest model that decides at most `points` per cent of the calibration images differently.
  absl::StatusOr<Graph> LowerWithinPoints(const Graph& graph, const std::vector<LayerMenu>& menus,
                                          double points) const {
    const std::vector<int64_t> wanted = Decisions(calibration_.features);
    std::optional<Graph> best;
    double least = std::log(std::max(kLeastNoise, LeastNoise(menus)));
    double most = std::log(kMostNoise);
    for (int step = 0; step < kPointSteps; ++step) {
      const double middle = step == 0 ? least : (least + most) / 2;
      BITSTAGE_ASSIGN_OR_RETURN(Graph lowered, LowerTo(graph, AllocateForNoise(menus, std::exp(middle))));
      BITSTAGE_ASSIGN_OR_RETURN(const double lost, PointsLost(lowered, wanted));
      if (lost <= points) {
        best = std::move(lowered);
        least = middle;
      } else if (step == 0) {
        return absl::InvalidArgumentError(absl::StrCat("budget: ", points,
                                                       " points cannot be kept with these activations; ", lost,
                                                       " points are lost with the quietest weights"));
      } else {
        most = middle;
      }
    }
    return std::move(*best);
  }

  absl::StatusOr<double> PointsLost(const Graph& lowered, const std::vector<int64_t>& wanted) const {
    BITSTAGE_ASSIGN_OR_RETURN(const Tensor features, RunFeatures(lowered, images_, /*snap=*/true, pool_));
    const std::vector<int64_t> found = Decisions(features);
    int64_t different = 0;
    for (size_t i = 0; i < wanted.size(); ++i) different += wanted[i] != found[i];
    return 100.0 * static_cast<double>(different) / static_cast<double>(wanted.size());
  }

  const Tensor& images_;
  const Recipe& recipe_;
  const std::vector<WeightRecipe> menu_;
  ThreadPool* pool_;
  const CompressionProgress& progress_;
  Stopwatch* stopwatch_;
  Calibration calibration_;
  std::string note_;
};

absl::StatusOr<Graph> Optimized(const Model& model, int* dropped) {
  if (model.IsQuantized()) return absl::FailedPreconditionError("the model is quantized already");
  Graph graph = model.graph.Clone();
  *dropped = DropFakeQuantize(graph);
  BITSTAGE_RETURN_IF_ERROR(Optimize(graph));
  if (WeightedNodes(graph).empty()) {
    return absl::FailedPreconditionError("the model has no convolution and no fully connected layer to quantize");
  }
  return graph;
}

}  // namespace

absl::StatusOr<Model> Compress(const Model& model, const Tensor& images, const Recipe& recipe, ThreadPool* pool,
                               const CompressionProgress& progress, Stopwatch* stopwatch) {
  BITSTAGE_RETURN_IF_ERROR(Validate(recipe));
  int dropped = 0;
  BITSTAGE_ASSIGN_OR_RETURN(Graph graph, Optimized(model, &dropped));
  Model result = model.Clone();
  Compression compression(images, recipe, pool, progress, stopwatch);
  BITSTAGE_ASSIGN_OR_RETURN(result.graph, compression.Run(std::move(graph)));
  BITSTAGE_ASSIGN_OR_RETURN(result.boundary_tables,
                            MeasureBoundaryTables(result.graph, images, recipe.link_mbps, pool));
  result.provenance.notes.push_back(absl::StrCat(Describe(recipe), ", ", images.shape()[0], " calibration images"));
  if (!compression.note().empty()) result.provenance.notes.push_back(compression.note());
  if (dropped > 0) {
    result.provenance.notes.push_back(absl::StrCat(dropped, " quantization points of the source were dropped"));
  }
  BITSTAGE_RETURN_IF_ERROR(Validate(result.graph));
  return result;
}

absl::StatusOr<Graph> PreparedGraph(const Model& model) {
  int dropped = 0;
  BITSTAGE_ASSIGN_OR_RETURN(Graph graph, Optimized(model, &dropped));
  OwnConstants(graph);
  return graph;
}

absl::StatusOr<int64_t> CalibrationCapacity(const Model& model, int64_t bytes) {
  int dropped = 0;
  BITSTAGE_ASSIGN_OR_RETURN(const Graph graph, Optimized(model, &dropped));
  // Two neighbours live at once, and what a convolution gathers is of the same order.
  int64_t largest = 1;
  for (const Value& value : graph.values) largest = std::max(largest, value.shape.elements());
  return std::max<int64_t>(1, bytes / (largest * static_cast<int64_t>(sizeof(float)) * 3));
}

}  // namespace bitstage
